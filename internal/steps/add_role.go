package steps

import (
	"context"
	"fmt"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/execution"
	"github.com/qlik-chatops/bot/internal/qlik"
)

// RoleParams is the role that is given.
type RoleParams struct {
	Role Role `json:"role"`
}

// AddRole plans to give a user one more role, directly. before is the user as
// the step will find it: as read now, or as an earlier step will have left it.
func AddRole(tenant, userID string, before UserState, role Role, givesAdmin bool) approval.Step {
	return approval.Step{
		Kind: KindAddRole, Tenant: tenant, Object: userID,
		Params: must(RoleParams{role}), Before: must(before),
		Line:       fmt.Sprintf("Give %s the role %s on %s", before.Email, role.Name, tenant),
		Changes:    []approval.Change{{Property: "roles", Before: list(before.Roles), After: list(append(append([]string{}, before.Roles...), role.Name))}},
		GivesAdmin: givesAdmin,
	}
}

type addRole struct{ clients Clients }

func (addRole) Repeat() execution.Repeat { return execution.AfterOneLook }

func (k addRole) Look(ctx context.Context, w execution.Work) (execution.Sight, error) {
	var p RoleParams
	return lookAtUser(ctx, k.clients, w, &p, func(u qlik.User) bool { return holds(u, p.Role) })
}

// holds says whether the user holds exactly this role directly.
func holds(u qlik.User, role Role) bool {
	for _, r := range u.AssignedRoles {
		if r.ID == role.ID || r.ID == "" && r.Name == role.Name {
			return true
		}
	}
	return false
}

func (k addRole) Do(ctx context.Context, w execution.Work) (execution.Answer, error) {
	var p RoleParams
	c, err := open(k.clients, w, &p, &UserState{})
	if err != nil {
		return execution.Answer{}, err
	}
	return execution.Answer{}, writeError("add role", c.Users.AddRole(ctx, w.Step().Object, p.Role.ref()))
}
