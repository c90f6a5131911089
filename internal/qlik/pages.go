package qlik

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"strconv"
)

const (
	defaultPageSize = 100
	maxPageSize     = 100
	// maxPages ends a list that never ends: a million entries.
	maxPages = 10_000
)

// pageRequest is a list to be read.
type pageRequest struct {
	op      Operation
	query   url.Values // without cursor and limit
	size    int        // 0: defaultPageSize
	invalid error      // why it must not be sent
}

// paginate reads a list page by page. A page that cannot be understood, one
// entry included, is an error and ends the sequence.
func paginate[T any](ctx context.Context, c caller, p pageRequest, decode func(json.RawMessage) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		size := p.size
		if size == 0 {
			size = defaultPageSize
		}
		if p.invalid == nil && (size < 1 || size > maxPageSize) {
			p.invalid = fmt.Errorf("%w: a page holds 1 to %d entries", ErrInvalid, maxPageSize)
		}
		query := maps.Clone(p.query)
		query.Set("limit", strconv.Itoa(size))
		seen := map[string]bool{}
		for read := 1; ; read++ {
			var entries []T
			var next string
			err := c.do(ctx, request{op: p.op, query: query, invalid: p.invalid}, func(a answer) error {
				entries, next = nil, "" // a second attempt begins anew
				raws, cursor, err := decodePage(a.body)
				if err != nil {
					return err
				}
				if cursor != "" && (seen[cursor] || read >= maxPages) {
					return fmt.Errorf("%w: the list does not end", ErrGarbled)
				}
				for _, raw := range raws {
					entry, err := decode(raw)
					if err != nil {
						return err
					}
					entries = append(entries, entry)
				}
				next = cursor
				return nil
			})
			if err != nil {
				yield(zero, err)
				return
			}
			for _, entry := range entries {
				if !yield(entry, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			seen[next] = true
			query.Set("next", next)
		}
	}
}

// decodePage takes the entries and the next cursor out of a page.
func decodePage(body []byte) (entries []json.RawMessage, next string, err error) {
	var page struct {
		Data  *[]json.RawMessage `json:"data"`
		Links struct {
			Next *struct {
				Href string `json:"href"`
			} `json:"next"`
		} `json:"links"`
	}
	if err := unmarshal(body, &page); err != nil {
		return nil, "", err
	}
	if page.Data == nil {
		return nil, "", fmt.Errorf("%w: a page without data", ErrGarbled)
	}
	if page.Links.Next == nil || page.Links.Next.Href == "" {
		return *page.Data, "", nil
	}
	next, err = nextCursor(page.Links.Next.Href)
	return *page.Data, next, err
}

// nextCursor takes the cursor out of a next link. The rest of the link is left
// alone, its host above all: the next page is asked for at the tenant's own
// address with the query that was asked before. A link without a cursor is an
// error, because ending there would make a part look like the whole.
func nextCursor(href string) (string, error) {
	u, err := url.Parse(href)
	if err != nil {
		return "", fmt.Errorf("%w: the link to the next page is no address", ErrGarbled)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || len(query["next"]) != 1 || query.Get("next") == "" {
		return "", fmt.Errorf("%w: the link to the next page has no cursor", ErrGarbled)
	}
	return query.Get("next"), nil
}

// unmarshal decodes exactly one JSON object. The error names no content.
func unmarshal(body []byte, into any) error {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return fmt.Errorf("%w: empty", ErrGarbled)
	}
	if body[0] != '{' {
		return fmt.Errorf("%w: not a JSON object", ErrGarbled)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%w: not the JSON that was expected", ErrGarbled)
	}
	return nil
}
