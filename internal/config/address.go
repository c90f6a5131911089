package config

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// parseAddress takes an https address, or an http one on loopback. The text says
// what is wrong; an error of net/url would repeat the address.
func parseAddress(value string) (u *url.URL, text string) {
	u, err := url.Parse(value)
	if err != nil {
		return nil, "is not an address; it must be like https://host"
	}
	u.Scheme = strings.ToLower(u.Scheme)
	u.Host = strings.ToLower(u.Host)
	host, port := u.Hostname(), u.Port()
	switch {
	case u.Scheme != "https" && u.Scheme != "http", host == "", strings.HasSuffix(host, "."):
		return nil, "is not an address; it must be like https://host"
	case u.User != nil:
		return nil, "must not have a name or password in it"
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, "must end after the host and path: no “?” and no “#”"
	case u.Scheme == "http" && !loopback(host):
		return nil, "must be https; plain http is for loopback addresses alone (127.0.0.0/8, ::1, localhost)"
	}
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) {
		return nil, "has a port that is none"
	}
	// One address, one spelling: two labels for one tenant are found by it.
	if u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	u.Host = strings.TrimSuffix(u.Host, ":")
	return u, ""
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
