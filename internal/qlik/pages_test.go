package qlik

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

func names(t *testing.T, f *fake) ([]string, error) {
	t.Helper()
	var got []string
	for u, err := range f.client.Users.List(t.Context(), ListUsersOptions{PageSize: 2}) {
		if err != nil {
			return got, err
		}
		got = append(got, u.Name)
	}
	return got, nil
}

func page(next string, names ...string) http.HandlerFunc {
	var data []string
	for _, n := range names {
		data = append(data, fmt.Sprintf(`{"id":"id-%s","name":%q}`, n, n))
	}
	link := ""
	if next != "" {
		link = fmt.Sprintf(`,"next":{"href":%q}`, next)
	}
	return reply(200, fmt.Sprintf(`{"data":[%s],"links":{"self":{"href":"x"}%s}}`, strings.Join(data, ","), link))
}

func TestPagesAreAskedForAtTheTenantAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, inOrder(
			page("http://evil.example.com/api/v1/other?next=c%2B1&limit=1&filter=", "a", "b"),
			page("/api/v1/users?next=c2", "c"),
			page("", "d"),
		))
		got, err := names(t, f)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"a", "b", "c", "d"}, got); diff != "" {
			t.Error(diff)
		}
		for i, r := range f.got() {
			q, err := url.ParseQuery(r.Query)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"", "c+1", "c2"}[i]
			if r.Path != "/api/v1/users" || q.Get("next") != want || q.Get("limit") != "2" ||
				q.Get("filter") != StatusIn(LivingStatuses()...).String() {
				t.Errorf("request %d: %v", i, r)
			}
		}
	})
}

func TestAListThatCannotBeReadToItsEndIsAnError(t *testing.T) {
	t.Parallel()
	cases := map[string]http.HandlerFunc{
		"a next link without a cursor":  page("https://tenant.example.com/api/v1/users", "a"),
		"a next link with two cursors":  page("/api/v1/users?next=1&next=2", "a"),
		"a next link that is no link":   page("http://[::1/%zz", "a"),
		"the same cursor again":         page("/api/v1/users?next=1", "a"),
		"no data":                       reply(200, `{"links":{}}`),
		"data is null":                  reply(200, `{"data":null,"links":{}}`),
		"an object instead of a list":   reply(200, `{"data":{}}`),
		"a user without an ID":          reply(200, `{"data":[{"name":"x"}],"links":{}}`),
		"a user who is a number":        reply(200, `{"data":[7],"links":{}}`),
		"an empty answer":               reply(200, ``),
		"HTML":                          html(200),
		"next is text":                  reply(200, `{"data":[],"links":{"next":"x"}}`),
		"the second page is an error":   inOrder(page("/?next=1", "a"), reply(403, ``)),
		"the second page is cut thrice": inOrder(page("/?next=1", "a"), truncated(200, `{"data":[`)),
		"no content":                    reply(204, ``),
	}
	for name, answer := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, answer)
				got, err := names(t, f)
				if err == nil {
					t.Fatalf("no error; names %v", got)
				}
				if n := len(f.got()); n > 1+maxAttempts {
					t.Errorf("%d requests", n)
				}
				if errors.Is(err, ErrNotSent) || errors.Is(err, ErrRefused) || errors.Is(err, ErrOutcomeUnknown) {
					t.Errorf("the error of a read speaks of a write: %v", err)
				}
			})
		})
	}
}

func TestAReaderMayStopAnywhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, page("/?next=1", "a", "b"))
		for u, err := range f.client.Users.List(t.Context(), ListUsersOptions{}) {
			if err != nil || u.Name != "a" {
				t.Fatal(u, err)
			}
			break
		}
		if n := len(f.got()); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestABadPageSizeIsNotSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, drop)
		for _, size := range []int{-1, 101} {
			for _, err := range f.client.Users.List(t.Context(), ListUsersOptions{PageSize: size}) {
				if !errors.Is(err, ErrInvalid) {
					t.Errorf("size %d: %v", size, err)
				}
			}
		}
		for _, err := range f.client.Users.List(t.Context(), ListUsersOptions{Filter: Where(Or())}) {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("a filter that cannot be sent: %v", err)
			}
		}
		if len(f.got()) != 0 {
			t.Error("something was sent")
		}
	})
}

func FuzzNextCursor(f *testing.F) {
	for _, s := range []string{
		"https://t.example.com/api/v1/users?next=abc", "?next=a%2Bb", "?next=", "?next=1&next=2", "", "?prev=1", "http://[::1", "?next=%zz", "?a;b&next=1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, href string) {
		cursor, err := nextCursor(href)
		if (err == nil) != (cursor != "") {
			t.Fatalf("%q: %q, %v", href, cursor, err)
		}
		if err != nil && !errors.Is(err, ErrGarbled) {
			t.Fatal(err)
		}
		// Whatever the cursor is, it stays one parameter of our own query.
		q := url.Values{"limit": {"100"}, "next": {cursor}}
		back, err := url.ParseQuery(q.Encode())
		if err != nil || len(back) != 2 || back.Get("next") != cursor {
			t.Fatalf("%q becomes %v, %v", cursor, back, err)
		}
	})
}
