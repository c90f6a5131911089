// Package authz turns the policy file into verdicts with reasons: may this
// person ask for this command on this tenant, and what does the policy demand
// before it runs.
//
// [Load] reads the file's bytes and either returns a [Policy] or every
// [Problem] of the file at once, each with its line. [Policy.Ask] judges
// [Facts] and returns a [Verdict] that carries the result of every rule, so
// that the short answer, the explanation for people and the full tree are all
// derived from the same evaluation.
//
// What holds, whatever the file says:
//
//   - The order of rules never matters. A Verdict of the same rules in another
//     order differs in line numbers and in the policy's digest only.
//   - Nothing is allowed without an allow rule, one matching deny rule refuses,
//     and every matching require rule adds its demands. So adding a require or
//     a deny rule never widens power.
//   - What is not known counts against the caller: a membership that could not
//     be looked up does not match an allow rule, and does match deny and
//     require rules. An unknown command, tenant or person is refused.
//   - Whether a change gives or takes administrator power is judged by its
//     plan. Before there is one, a change is at best [Possible].
//
// The package refuses to do anything else. It does no I/O, knows nothing of Qlik
// and of Slack only the form of its IDs, does not resolve memberships, does not
// verify identities (its caller passes full members of the bot's own workspace
// and nobody else) and does not count votes; it only says whose votes a rule asks for. A
// part of the policy language that is not built yet is an error of loading and
// never skipped.
package authz
