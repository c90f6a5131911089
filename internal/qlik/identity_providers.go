package qlik

import (
	"context"
	"fmt"
)

// ProviderQlikAccount is the provider that invitations depend on.
const ProviderQlikAccount = "qlik"

// IdPStatus is which identity providers a tenant has
// (identity-providers.json: IDPsStatus).
type IdPStatus struct {
	Providers []IdentityProvider
}

// IdentityProvider is one entry of IdPStatus.
type IdentityProvider struct {
	Provider    string // "qlik", "okta", "azureAD", …
	Active      bool
	Interactive bool
}

// OtherInteractive gives the active interactive provider other than Qlik
// Account, if there is one. While there is, invitations do not work, and
// people's subjects come from that provider.
func (s IdPStatus) OtherInteractive() (provider string, ok bool) {
	for _, p := range s.Providers {
		if p.Active && p.Interactive && p.Provider != ProviderQlikAccount {
			return p.Provider, true
		}
	}
	return "", false
}

// IdentityProviderReader reads identity providers.
type IdentityProviderReader struct{ c caller }

// IdentityProvidersService reads identity providers. The bot changes none.
type IdentityProvidersService struct{ IdentityProviderReader }

// Status reads which providers there are (identity-providers.json: GET
// /api/v1/identity-providers/status; needs TenantAdmin). An answer that leaves
// any of it open, or that counts more active interactive ones than it lists, is
// ErrGarbled and never "none". One that counts fewer is taken: Qlik does not say
// whether Qlik Account is counted, and the list names what matters.
func (r IdentityProviderReader) Status(ctx context.Context) (IdPStatus, error) {
	var status IdPStatus
	err := r.c.do(ctx, request{op: opIdPStatus}, func(a answer) (err error) {
		status, err = decodeIdPStatus(a.body)
		return err
	})
	if err != nil {
		return IdPStatus{}, err
	}
	return status, nil
}

func decodeIdPStatus(body []byte) (IdPStatus, error) {
	var w struct {
		Count     *float64 `json:"active_interactive_idps_count"`
		Providers *[]struct {
			Provider    string `json:"provider"`
			Active      *bool  `json:"active"`
			Interactive *bool  `json:"interactive"`
		} `json:"idps_metadata"`
	}
	if err := unmarshal(body, &w); err != nil {
		return IdPStatus{}, err
	}
	if w.Count == nil || w.Providers == nil {
		return IdPStatus{}, fmt.Errorf("%w: the count or the list of identity providers is missing", ErrGarbled)
	}
	var s IdPStatus
	active := 0
	for _, p := range *w.Providers {
		if p.Provider == "" || p.Active == nil || p.Interactive == nil {
			return IdPStatus{}, fmt.Errorf("%w: an identity provider is not fully described", ErrGarbled)
		}
		if *p.Active && *p.Interactive {
			active++
		}
		s.Providers = append(s.Providers, IdentityProvider{
			Provider: clean(p.Provider, maxTitle), Active: *p.Active, Interactive: *p.Interactive,
		})
	}
	if float64(active) < *w.Count {
		return IdPStatus{}, fmt.Errorf("%w: %v active interactive identity providers counted, %d listed", ErrGarbled, *w.Count, active)
	}
	return s, nil
}
