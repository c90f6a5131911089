package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/qlik-chatops/bot/internal/authz"
	"github.com/qlik-chatops/bot/internal/bot"
	"github.com/qlik-chatops/bot/internal/commands"
	"github.com/qlik-chatops/bot/internal/config"
)

// policyCheck says whether a policy file can be used with the tenants of the
// environment.
func policyCheck(_ context.Context, c call) error {
	fs := c.flags("policy check", "Checks the policy file that POLICY_FILE names, against the tenants in QLIK_TENANTS.")
	file := fs.String("file", "", "check this file instead of POLICY_FILE")
	if err := c.parse(fs); err != nil {
		return err
	}
	need := config.NeedLabels
	if *file == "" {
		need |= config.NeedPolicy
	}
	cfg, err := config.Read(need)
	if err != nil {
		return wrong(err)
	}
	if *file == "" {
		*file = cfg.PolicyFile
	}
	policy, err := bot.LoadPolicy(*file, commands.New(), cfg.Qlik.Labels())
	var problems authz.Problems
	if errors.As(err, &problems) {
		return err // it ran, and the answer is no
	}
	if err != nil {
		return wrong(err)
	}
	_, err = fmt.Fprintf(c.out, "The policy can be used. Its digest is %s.\n", policy.Digest())
	return err
}
