package steps

import (
	"context"
	"fmt"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/execution"
	"github.com/qlik-chatops/bot/internal/qlik"
)

// StatusParams is the status that is set.
type StatusParams struct {
	Status string `json:"status"`
}

// SetStatus plans to make a user active or disabled. before is the user as
// read. givesAdmin says whether the user holds, and so regains the use of,
// administrative power; takesAdmin whether it is taken from them.
func SetStatus(tenant, userID string, before UserState, status string, givesAdmin, takesAdmin bool) approval.Step {
	return approval.Step{
		Kind: KindSetStatus, Tenant: tenant, Object: userID,
		Params: must(StatusParams{status}), Before: must(before),
		Line:       fmt.Sprintf("Make %s %s on %s", before.Email, status, tenant),
		Changes:    []approval.Change{{Property: "status", Before: before.Status, After: status}},
		GivesAdmin: givesAdmin, TakesAdmin: takesAdmin,
	}
}

type setStatus struct{ clients Clients }

func (setStatus) Repeat() execution.Repeat { return execution.AfterOneLook }

func (k setStatus) Look(ctx context.Context, w execution.Work) (execution.Sight, error) {
	var p StatusParams
	return lookAtUser(ctx, k.clients, w, &p, func(u qlik.User) bool { return u.Status == p.Status })
}

func (k setStatus) Do(ctx context.Context, w execution.Work) (execution.Answer, error) {
	var p StatusParams
	c, err := open(k.clients, w, &p, &UserState{})
	if err != nil {
		return execution.Answer{}, err
	}
	return execution.Answer{}, writeError("set status", c.Users.SetStatus(ctx, w.Step().Object, p.Status))
}
