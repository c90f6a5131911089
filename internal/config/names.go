package config

import (
	"slices"
	"strings"

	"github.com/qlik-chatops/bot/internal/spelling"
)

// misspelt reports the SLACK_* and QLIK_* variables that nobody reads.
func (r *reader) misspelt(need Need, labels []string) {
	known := globalNames()
	for _, l := range labels {
		for _, suffix := range tenantSuffixes() {
			known = append(known, tenantPrefix(l)+suffix)
		}
	}
	for name := range r.filled {
		family, _, _ := strings.Cut(name, "_")
		switch {
		case family == "SLACK" && need.has(NeedSlack), family == "QLIK" && need.has(NeedQlik):
		default:
			continue
		}
		if !strings.Contains(name, "_") || slices.Contains(known, name) || fromKubernetes(name) {
			continue
		}
		if family == "QLIK" && hasTenantSuffix(name) {
			if !r.badTenants {
				r.problem(name, "belongs to no tenant in QLIK_TENANTS; add its label there or remove the variable"+didYouMean(name, known, 2))
			}
			continue
		}
		r.problem(name, "is not a variable of the bot"+didYouMean(name, known, len(name)/3))
	}
}

// fromKubernetes reports a name such as Kubernetes puts into every container for
// each service of the namespace.
func fromKubernetes(name string) bool {
	return strings.Contains(name, "_SERVICE_") || strings.Contains(name, "_PORT")
}

func hasTenantSuffix(name string) bool {
	return slices.ContainsFunc(tenantSuffixes(), func(suffix string) bool {
		return strings.HasSuffix(name, suffix)
	})
}

// didYouMean names the known variable that looks most like name, if one differs
// by at most so many letters.
func didYouMean(name string, known []string, atMost int) string {
	best := ""
	for _, k := range known {
		family, _, _ := strings.Cut(name, "_")
		if !strings.HasPrefix(k, family+"_") {
			continue
		}
		if d := spelling.Edits(name, k); d <= atMost {
			best, atMost = k, d-1
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}
