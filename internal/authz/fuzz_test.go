package authz_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/qlik-chatops/bot/internal/authz"
)

// FuzzLoad holds that any bytes give either a policy that answers or problems
// that can be read, and never both.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(built()))
	f.Add([]byte(rules(anyoneMayRead, opsMayChange, powerNeedsTwo, noSpaceDeletion)))
	f.Add([]byte(""))
	f.Add([]byte("---\n"))
	f.Add([]byte("\xef\xbb\xbfversion: 1\n"))
	f.Add([]byte("a: &a [b]\nc: *a\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("<<: {version: 1}\n? [x]\n: y\n"))
	f.Add([]byte("version: !!int 1\n--- # two\n..."))
	f.Add([]byte("rules: [{name: a, effect: require, approvals: {count: 0x2, from: []}, reason: '('}]"))
	f.Add([]byte(strings.Repeat("[", 200)))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := authz.Load(data, world())
		if err != nil {
			var ps authz.Problems
			if p != nil || !errors.As(err, &ps) || len(ps) == 0 {
				t.Fatalf("a policy and an error, or an error without problems: %v", err)
			}
			for _, problem := range ps {
				if problem.Line < 1 || problem.Text == "" || strings.ContainsAny(problem.Error(), "\n\r\x1b") {
					t.Errorf("a problem that cannot be read: %q", problem.Error())
				}
			}
			return
		}
		if len(p.Digest()) != 64 {
			t.Errorf("digest %q", p.Digest())
		}
		for command := range world().Commands {
			v := p.Ask(ana(command))
			if v.Explain() == "" || v.Tree() == "" || (v.Outcome == authz.Refused) != (len(v.Refusals) > 0) {
				t.Errorf("%+v", v)
			}
			for _, d := range v.Demands {
				if d.Count < 1 || d.ExpiresIn <= 0 || d.ExecuteWithin <= 0 || len(d.From.Groups) == 0 {
					t.Errorf("a demand that demands nothing: %+v", d)
				}
			}
		}
	})
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"30m", "4h", "2d", "1w", "0m", "-1h", "1h30m", "٤h", "99999999999999999999d", "1 h", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := authz.ParseDuration(s)
		if err != nil {
			if !errors.Is(err, authz.ErrDuration) || d != 0 {
				t.Errorf("%v, %v", d, err)
			}
			return
		}
		again, err := authz.ParseDuration(authz.FormatDuration(d))
		if err != nil || d <= 0 || again != d {
			t.Errorf("%q is %v and comes back as %v, %v", s, d, again, err)
		}
	})
}
