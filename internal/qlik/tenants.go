package qlik

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Tenant is a tenant's description of itself (tenants.json: Tenant).
type Tenant struct {
	ID, Name string
	// Hostnames: the system host name first, then the alias if there is one.
	Hostnames          []string
	Region, Datacenter string
	// Status is "active", "disabled", "deleted" or "user-access-disabled".
	Status    string
	CreatedAt time.Time // zero when not said
}

// TenantReader reads the tenant.
type TenantReader struct{ c caller }

// TenantsService reads the tenant.
type TenantsService struct{ TenantReader }

// Me reads the tenant that the client belongs to (tenants.json: GET
// /api/v1/tenants/me, which redirects to the tenant's own address).
func (r TenantReader) Me(ctx context.Context) (Tenant, error) {
	var tenant Tenant
	err := r.c.do(ctx, request{op: opTenantsMe}, func(a answer) (err error) {
		tenant, err = decodeTenant(a.body)
		return err
	})
	if err != nil {
		return Tenant{}, err
	}
	return tenant, nil
}

func decodeTenant(raw json.RawMessage) (Tenant, error) {
	var w struct {
		ID         string          `json:"id"`
		Name       string          `json:"name"`
		Hostnames  []string        `json:"hostnames"`
		Region     string          `json:"region"`
		Datacenter string          `json:"datacenter"`
		Status     string          `json:"status"`
		Created    json.RawMessage `json:"created"`
	}
	if err := unmarshal(raw, &w); err != nil {
		return Tenant{}, err
	}
	if w.ID == "" {
		return Tenant{}, fmt.Errorf("%w: a tenant without an ID", ErrGarbled)
	}
	return Tenant{ID: w.ID, Name: w.Name, Hostnames: w.Hostnames, Region: w.Region,
		Datacenter: w.Datacenter, Status: w.Status, CreatedAt: timestamp(w.Created)}, nil
}
