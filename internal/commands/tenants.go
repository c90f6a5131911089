package commands

import "context"

// tenants lists the configured tenants.
type tenants struct{}

func (*tenants) Spec() Spec {
	return Spec{
		Name: "tenants", Summary: "List the tenants and their addresses",
		Examples: []string{"tenants"},
		Class:    ClassRead, Touches: "none",
	}
}

func (c *tenants) Parse(a Args) error { return noWords(c.Spec(), a) }

func (*tenants) Typed() Args { return Args{} }

func (*tenants) Answer(_ context.Context, w World) (Reply, error) {
	r := Reply{Title: "Tenants"}
	if len(w.Listed) == 0 {
		r.Lines = []string{"There is no tenant that you may see."}
		return r, nil
	}
	t := &Table{Head: []string{"Tenant", "Address", "Used for"}}
	for _, tenant := range w.Listed {
		use := ""
		switch {
		case tenant.Default && tenant.Source:
			use = "commands that name no tenant; looking people up"
		case tenant.Default:
			use = "commands that name no tenant"
		case tenant.Source:
			use = "looking people up"
		}
		t.Rows = append(t.Rows, []string{tenant.Label, tenant.Host, use})
	}
	r.Sections = []Section{{Table: t}}
	return r, nil
}

// noWords refuses arguments where there are none.
func noWords(s Spec, a Args) error {
	if len(a.Words) > 0 {
		return &UsageError{Say: s.Name + " takes no arguments, and there is " + show(a.Words[0].Text()) + ".", Hint: s.hint()}
	}
	return nil
}
