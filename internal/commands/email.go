package commands

import (
	"strings"
	"unicode"
)

// Longest parts of an address (RFC 5321, section 4.5.3.1).
const (
	maxEmail     = 254
	maxLocalPart = 64
	maxLabel     = 63
)

// readEmail checks an address strictly and returns it in lower case; why is
// what is wrong with it, as the end of a sentence. Forms that mail software
// takes but people do not have, such as quoted local parts, comments, display
// names and bare IP addresses, are refused: what cannot be read at a glance
// cannot be approved.
func readEmail(typed string) (email, why string) {
	email = strings.ToLower(typed)
	local, domain, _ := strings.Cut(email, "@")
	switch {
	case email == "":
		return "", "it is empty"
	case len(email) > maxEmail:
		return "", "it is too long"
	}
	for _, r := range typed {
		switch {
		case r == unicode.ReplacementChar:
			return "", "it holds a broken character"
		case r > unicode.MaxASCII && unicode.IsLetter(r):
			return "", "it holds " + show(string(r)) + ", a letter outside a to z that can look like another one"
		case r > unicode.MaxASCII:
			return "", "it holds " + show(string(r)) + ", which is no part of an address"
		case r <= ' ' || r == 0x7f:
			return "", "it holds a space or a control character"
		}
	}
	switch {
	case strings.ContainsAny(email, "<>()[]\"\\,;:"):
		return "", "write the bare address, without a name, quotes or brackets"
	case !strings.Contains(email, "@"):
		return "", "it has no @"
	case strings.Count(email, "@") > 1:
		return "", "it has more than one @"
	case local == "":
		return "", "nothing stands before the @"
	case len(local) > maxLocalPart:
		return "", "the part before the @ is too long"
	case strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, ".."):
		return "", "a dot stands where none can be before the @"
	case !atext(local):
		return "", "the part before the @ holds a character that cannot be there"
	}
	if why := checkDomain(domain); why != "" {
		return "", why
	}
	return email, ""
}

// atext says whether the local part is made of the characters of RFC 5322's
// dot-atom alone.
func atext(local string) bool {
	for _, r := range local {
		letter := r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
		if !letter && !strings.ContainsRune(".!#$%&'*+/=?^_`{|}~-", r) {
			return false
		}
	}
	return true
}

func checkDomain(domain string) string {
	labels := strings.Split(domain, ".")
	if len(labels) < 2 {
		return "the part after the @ has no dot"
	}
	for _, l := range labels {
		switch {
		case l == "":
			return "a dot stands where none can be after the @"
		case len(l) > maxLabel:
			return "the part after the @ is too long"
		case strings.HasPrefix(l, "-") || strings.HasSuffix(l, "-"):
			return "a hyphen stands where none can be after the @"
		}
		for _, r := range l {
			if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
				return "the part after the @ holds a character that cannot be there"
			}
		}
	}
	last := labels[len(labels)-1]
	if len(last) < 2 || strings.Trim(last, "0123456789") == "" {
		return "the part after the @ does not end like a domain"
	}
	return ""
}
