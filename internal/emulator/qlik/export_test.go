package qlik

// Operations names every operation that the emulator has.
func Operations() []string {
	var names []string
	for _, rt := range routes() {
		names = append(names, rt.operation())
	}
	return names
}

// Tiers gives the rate tier of every operation in the words of x-qlik-tier.
func Tiers() map[string]string {
	tiers := map[string]string{}
	for _, rt := range routes() {
		tiers[rt.operation()] = map[tier]string{tier1: "1", tier2: "2"}[rt.tier]
		if tiers[rt.operation()] == "" {
			tiers[rt.operation()] = "special"
		}
	}
	return tiers
}
