package qlik

import (
	"cmp"
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// cursor is a place in a sorted list: the entry it lies behind (next) or
// before (prev). It holds for the query that made it and for no other, so a
// client that loses its filter on the way to the second page is told so.
type cursor struct {
	Key   string `json:"k"`
	ID    string `json:"i"`
	Query string `json:"q"`
	Back  bool   `json:"b,omitempty"`
}

// encode makes the text of a cursor. It is opaque and holds characters that
// must be percent-encoded in a query.
func (c cursor) encode(key []byte) string {
	raw, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings and a bool
	}
	return base64.StdEncoding.EncodeToString(append(keyed(key, string(raw), 0)[:8], raw...))
}

func decodeCursor(key []byte, text string) (cursor, bool) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) < 8 {
		return cursor{}, false
	}
	sum, raw := raw[:8], raw[8:]
	if !hmac.Equal(sum, keyed(key, string(raw), 0)[:8]) {
		return cursor{}, false
	}
	var c cursor
	return c, json.Unmarshal(raw, &c) == nil
}

// listing says how one list operation pages.
type listing[T any] struct {
	size    int      // default page size
	max     int      // of limit
	reject  bool     // a limit above max is refused; otherwise it is cut
	sorts   []string // fields that sort names, the default first
	cursors [2]string
	key     func(item T, field string) string
	id      func(T) string
}

// page is one page of a list.
type page[T any] struct {
	items []T
	links map[string]any
}

// paged cuts the page that the query asks for out of items. The cursors'
// parameters are next and prev, or "page" for both.
func paged[T any](x *exchange, l listing[T], items []T) (page[T], *problem) {
	q := x.req.query
	limit, p := x.limit(l.size, l.max, l.reject)
	if p != nil {
		return page[T]{}, p
	}
	field, desc, p := sortField(q, l.sorts)
	if p != nil {
		return page[T]{}, p
	}
	order := func(aKey, aID, bKey, bID string) int {
		c := cmp.Or(strings.Compare(aKey, bKey), strings.Compare(aID, bID))
		if desc {
			return -c
		}
		return c
	}
	items = slices.Clone(items)
	slices.SortFunc(items, func(a, b T) int { return order(l.key(a, field), l.id(a), l.key(b, field), l.id(b)) })

	nextName, prevName := cmp.Or(l.cursors[0], "next"), cmp.Or(l.cursors[1], "prev")
	if q.Has("next") && q.Has("prev") {
		return page[T]{}, badParameter("next", "Parameters next and prev cannot be combined.")
	}
	bound := x.queryID(nextName, prevName)
	from, to := 0, min(limit, len(items))
	for _, name := range []string{nextName, prevName} {
		if !q.Has(name) {
			continue
		}
		c, ok := decodeCursor(x.st.key, q.Get(name))
		if !ok || c.Query != bound || nextName != prevName && c.Back != (name == prevName) {
			return page[T]{}, badParameter(name, "The cursor is not one of this query.")
		}
		at := func(item T) int { return order(l.key(item, field), l.id(item), c.Key, c.ID) }
		if c.Back {
			to = countWhile(items, func(item T) bool { return at(item) < 0 })
			from = max(0, to-limit)
		} else {
			from = countWhile(items, func(item T) bool { return at(item) <= 0 })
			to = min(from+limit, len(items))
		}
		break
	}
	links := map[string]any{"self": x.link(x.req.path + questionMark(x.selfQuery()))}
	mark := func(name string, item T, back bool) map[string]any {
		c := cursor{Key: l.key(item, field), ID: l.id(item), Query: bound, Back: back}
		query := url.Values{}
		if x.behaviour.OwnLinks {
			query = cloneValues(q)
			query.Del(nextName)
			query.Del(prevName)
		}
		query.Set(name, c.encode(x.st.key))
		return x.link(x.req.path + "?" + query.Encode())
	}
	if to > from && to < len(items) {
		links["next"] = mark(nextName, items[to-1], false)
	}
	if to > from && from > 0 {
		links["prev"] = mark(prevName, items[from], true)
	}
	return page[T]{items: items[from:to], links: links}, nil
}

// limit reads the page size that is asked for.
func (x *exchange) limit(size, most int, reject bool) (int, *problem) {
	limit := cmp.Or(x.behaviour.PageSize, size)
	if x.req.query.Has("limit") {
		n, err := strconv.Atoi(x.req.query.Get("limit"))
		if err != nil || n < 1 || reject && n > most {
			return 0, badParameter("limit", "The limit must be a number from 1 to %d.", most)
		}
		limit = min(n, most)
	}
	if x.behaviour.MaxPageSize > 0 {
		limit = min(limit, x.behaviour.MaxPageSize)
	}
	return limit, nil
}

// sortField reads sort: a field, "+" ascending (the default) or "-" before it.
// An unencoded "+" arrives as a space.
func sortField(q url.Values, fields []string) (field string, desc bool, p *problem) {
	if !q.Has("sort") {
		return fields[0], false, nil
	}
	text := q.Get("sort")
	field = strings.TrimLeft(text, "+- ")
	if len(text)-len(field) > 1 || !slices.Contains(fields, field) {
		return "", false, badParameter("sort", "Cannot sort by %q.", text)
	}
	return field, strings.HasPrefix(text, "-"), nil
}

// wantsTotal reads totalResults.
func (x *exchange) wantsTotal() (bool, *problem) {
	switch v := x.req.query.Get("totalResults"); {
	case !x.req.query.Has("totalResults"), v == "false":
		return false, nil
	case v == "true":
		return true, nil
	default:
		return false, badParameter("totalResults", "totalResults must be true or false.")
	}
}

// queryID tells queries apart, without the page and its size.
func (x *exchange) queryID(without ...string) string {
	q := cloneValues(x.req.query)
	for _, name := range append(without, "limit", "totalResults", "fields") {
		q.Del(name)
	}
	var body string
	if x.req.method == http.MethodPost {
		body = string(x.req.body)
	}
	sum := keyed(x.st.key, x.req.path+"?"+q.Encode()+"\n"+body, 0)
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

func (x *exchange) selfQuery() string {
	if x.behaviour.OwnLinks {
		return x.req.rawQuery
	}
	return ""
}

func questionMark(query string) string {
	if query == "" {
		return ""
	}
	return "?" + query
}

func cloneValues(v url.Values) url.Values {
	out := make(url.Values, len(v))
	for k, s := range v {
		out[k] = slices.Clone(s)
	}
	return out
}

func countWhile[T any](items []T, ok func(T) bool) int {
	n := slices.IndexFunc(items, func(item T) bool { return !ok(item) })
	if n < 0 {
		return len(items)
	}
	return n
}
