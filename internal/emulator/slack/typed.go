package slack

import (
	"regexp"
	"strings"
)

var (
	typedWord  = regexp.MustCompile(`(^|[\s(,;])([@#])([\pL\pN_][\pL\pN_.-]*)`)
	typedEmail = regexp.MustCompile(`[A-Za-z0-9._%+'-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}`)
	typedLink  = regexp.MustCompile(`https?://[^\s<>|]+`)
)

func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// escapeTyped turns what somebody typed after a slash command into what
// should_escape: true makes of it: & < > escaped; @names, #channels and
// addresses of the web in angle brackets; e-mail addresses too, if the
// configuration says so.
func (s *Server) escapeTyped(text string) string {
	if s.cfg.NoEscape {
		return text
	}
	// Each token is put aside under a mark that nobody can type, so that what
	// follows neither escapes nor finds it again.
	var aside []string
	keep := func(token string) string {
		aside = append(aside, token)
		return "\x00" + string(rune(0xE000+len(aside)-1)) + "\x00"
	}
	text = strings.ReplaceAll(text, "\x00", "")
	text = typedLink.ReplaceAllStringFunc(text, func(link string) string { return keep("<" + escape(link) + ">") })
	text = typedEmail.ReplaceAllStringFunc(text, func(email string) string {
		if s.cfg.MailtoLinks {
			return keep("<mailto:" + email + "|" + email + ">")
		}
		return keep(email)
	})
	text = typedWord.ReplaceAllStringFunc(text, func(match string) string {
		parts := typedWord.FindStringSubmatch(match)
		word := strings.TrimRight(parts[3], ".-")
		rest := parts[3][len(word):]
		if token := s.mentionTyped(parts[2], word); token != "" {
			return parts[1] + keep(token) + rest
		}
		return match
	})
	text = escape(text)
	for i, token := range aside {
		text = strings.ReplaceAll(text, "\x00"+string(rune(0xE000+i))+"\x00", token)
	}
	return text
}

// mentionTyped is the token for @word or #word, or empty when nothing has that
// name.
func (s *Server) mentionTyped(sign, word string) string {
	if sign == "#" {
		for _, c := range s.channels {
			if c.IsIM || c.Name != word {
				continue
			}
			if c.IsPrivate {
				return "<#" + c.ID + "|>"
			}
			return "<#" + c.ID + "|" + c.Name + ">"
		}
		return ""
	}
	for _, u := range s.users {
		if u.Name == word {
			if s.cfg.NamedMentions {
				return "<@" + u.ID + "|" + u.Name + ">"
			}
			return "<@" + u.ID + ">"
		}
	}
	for _, g := range s.groups {
		if g.Handle == word {
			return "<!subteam^" + g.ID + "|@" + g.Handle + ">"
		}
	}
	for _, b := range broadcasts() {
		if b == word {
			return "<!" + b + ">"
		}
	}
	return ""
}
