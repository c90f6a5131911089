// Package page is the demo in the browser: a chat like Slack's, in which the
// reader chooses who they are, beside the Qlik tenants that the bot changes.
// It works on the Go API of the two emulators, in one process with them.
//
// It shows what they hold and acts as the chosen person; it decides nothing.
// What a real Slack client would not let somebody do, the emulator refuses, and
// the page says so in words. All text in messages, names and answers is
// untrusted: it passes through html/template as text, and characters that would
// turn the reading direction are made visible.
//
// It refuses: requests to change something that come from another site, any
// request under a host name that is not this machine or the address listened
// on (so that no other site can be made to resolve to it), scripts, styles and
// pictures from elsewhere, and plain messages, because a workspace without
// other people in it has nobody to read them. It has no accounts: whoever can
// reach it can be everybody in it, so it belongs on a loopback address.
//
// # What tests may hold on to
//
// These IDs and attributes are stable:
//
//	#as [data-user="U…"]              the person switch; aria-current="true" on who one is
//	body[data-as], body[data-here]    who one is, and where
//	[data-channel="C…"]               a channel in the list (a link); "home" is App Home,
//	                                  "dm" a direct conversation that nobody has begun
//	#timeline                         the messages of the channel, or the Home tab
//	#timeline .message[data-ts="…"]   one message; [data-ephemeral] where only one person sees it,
//	                                  [data-say] its top-level text
//	#timeline .note[data-note="…"]    what Slack itself says: operation_timeout, dispatch_failed,
//	                                  interaction_failed, refused, not_a_command
//	[data-action-id="…"]              a button, menu or input; [data-block-id] is its block
//	#command, #send                   the box for commands and its button
//	#hints [role=option]              commands on offer; [data-insert] is what choosing one types
//	#views dialog[data-view="V…"]     the open form; .submit and .close are its buttons,
//	                                  [data-error-for="block_id"] an error beside its field
//	#confirm .confirm, #confirm .deny the question that a button may ask first
//	#home-refresh                     opens App Home again
//	#tenant-<label>                   a tenant, with
//	  .user[data-email="…"]           one user: .status, .roles, .role.admin for TenantAdmin
//	  .group[data-name="…"]           one group
//	  .mail[data-to="…"]              one invitation sent, the newest first
//	  .call[data-operation="…"]       one call of the API, the newest first; [data-write], [data-status]
//	                                  (groups, spaces, mails and calls stand in <details> that
//	                                  are closed while they are empty, and open by themselves)
//	#weather [data-fault="…"]         a switch, with aria-pressed: qlik-slow, qlik-refuses, qlik-drops,
//	                                  qlik-limits, slack-slow; and the buttons slack-disconnects, reset
//	#bot[data-sockets="2"]            how many connections the bot holds
//	html[data-live="yes"]             the page is connected and shows changes as they come
package page
