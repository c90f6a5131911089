package store

// Every statement of the package stands in this file and in migrations. They
// hold on SQLite and on PostgreSQL alike: a statement that locks is an update,
// which takes a row lock there and is inside an immediate transaction here.

const requestColumns = `id, version, revision, state, caller_team, caller_user, channel, typed,
	command, tenant, reason, digest, policy, created_at, expires_at, execute_by, ended_at, outcome, notice`

const (
	insertRequest = `INSERT INTO request (` + requestColumns + `, num)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
			(SELECT COALESCE(MAX(num), 0) + 1 FROM request))
		ON CONFLICT (id) DO NOTHING`

	selectRequest = `SELECT ` + requestColumns + ` FROM request WHERE id = $1`

	// lockRequest is the first statement of every change: two changes of one
	// request come one after the other.
	lockRequest = `UPDATE request SET revision = revision + 1 WHERE id = $1 RETURNING ` + requestColumns

	updateRequest = `UPDATE request SET version = $2, revision = $3, state = $4, caller_team = $5, caller_user = $6,
		channel = $7, typed = $8, command = $9, tenant = $10, reason = $11, digest = $12, policy = $13,
		created_at = $14, expires_at = $15, execute_by = $16, ended_at = $17, outcome = $18, notice = $19
		WHERE id = $1`

	// The list of states is that of the index request_open, letter by letter.
	selectOpenRequests = `SELECT ` + requestColumns + ` FROM request
		WHERE state NOT IN ('succeeded', 'partly succeeded', 'failed', 'denied', 'cancelled', 'expired')
		ORDER BY num`

	selectRecentRequests = `SELECT ` + requestColumns + ` FROM request ORDER BY num DESC LIMIT $1`

	purgeRequests = `DELETE FROM request WHERE id IN (
		SELECT r.id FROM request r WHERE r.ended_at > 0 AND r.ended_at < $1
			AND NOT EXISTS (SELECT 1 FROM task t WHERE t.request = r.id AND t.state <> 'done')
		ORDER BY r.ended_at LIMIT $2)`

	selectBody = `SELECT args, plan, demands FROM request_body WHERE request = $1`
	putBody    = `INSERT INTO request_body (request, args, plan, demands) VALUES ($1, $2, $3, $4)
		ON CONFLICT (request) DO UPDATE SET args = excluded.args, plan = excluded.plan, demands = excluded.demands`

	selectDecisions = `SELECT kind, decider_team, decider_user, decided_at, version, digest, demands
		FROM decision WHERE request = $1 ORDER BY n`
	putDecision = `INSERT INTO decision (request, n, kind, decider_team, decider_user, decided_at, version, digest, demands)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (request, n) DO UPDATE SET kind = excluded.kind, decider_team = excluded.decider_team,
			decider_user = excluded.decider_user, decided_at = excluded.decided_at, version = excluded.version,
			digest = excluded.digest, demands = excluded.demands`
	cutDecisions = `DELETE FROM decision WHERE request = $1 AND n >= $2`

	selectSteps = `SELECT state, sends, absent, started_at, sent_at, answered, look_at, result, items, error, note
		FROM step WHERE request = $1 ORDER BY n`
	putStep = `INSERT INTO step (request, n, state, sends, absent, started_at, sent_at, answered, look_at, result, items, error, note)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (request, n) DO UPDATE SET state = excluded.state, sends = excluded.sends,
			absent = excluded.absent, started_at = excluded.started_at, sent_at = excluded.sent_at,
			answered = excluded.answered, look_at = excluded.look_at, result = excluded.result,
			items = excluded.items, error = excluded.error, note = excluded.note`
	cutSteps = `DELETE FROM step WHERE request = $1 AND n >= $2`

	selectCards = `SELECT channel, ts, shown FROM card WHERE request = $1 ORDER BY n`
	putCard     = `INSERT INTO card (request, n, channel, ts, shown) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (request, n) DO UPDATE SET channel = excluded.channel, ts = excluded.ts, shown = excluded.shown`
	cutCards = `DELETE FROM card WHERE request = $1 AND n >= $2`
)

const (
	// addTask does what approval.Task says about a key that exists. It gives
	// a row back unless a task with Once was left as it is.
	addTask = `INSERT INTO task (key, kind, request, lane, body, run_at, once, num,
			state, again_at, attempt, token, lease_until, error, ended_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, (SELECT COALESCE(MAX(num), 0) + 1 FROM task),
			'ready', 0, 0, 0, 0, '', 0)
		ON CONFLICT (key) DO UPDATE SET
			kind    = CASE WHEN task.state = 'done' THEN excluded.kind ELSE task.kind END,
			request = CASE WHEN task.state = 'done' THEN excluded.request ELSE task.request END,
			lane    = CASE WHEN task.state = 'done' THEN excluded.lane ELSE task.lane END,
			num     = CASE WHEN task.state = 'done' THEN excluded.num ELSE task.num END,
			attempt = CASE WHEN task.state = 'done' THEN 0 ELSE task.attempt END,
			body    = excluded.body,
			run_at  = CASE
				WHEN task.state = 'done' THEN excluded.run_at
				WHEN task.state = 'ready' AND excluded.run_at < task.run_at THEN excluded.run_at
				ELSE task.run_at END,
			again_at = CASE
				WHEN task.state <> 'running' THEN task.again_at
				WHEN task.again_at = 0 OR excluded.run_at < task.again_at THEN excluded.run_at
				ELSE task.again_at END,
			state    = CASE WHEN task.state = 'done' THEN 'ready' ELSE task.state END,
			ended_at = 0
		WHERE task.once = 0 AND excluded.once = 0
		RETURNING key`

	// A task with Once keeps its row as a mark when it is taken away.
	cancelTask     = `DELETE FROM task WHERE key = $1 AND state = 'ready' AND once = 0`
	cancelOnceTask = `UPDATE task SET state = 'done', body = '', ended_at = $2
		WHERE key = $1 AND state = 'ready' AND once = 1`
	cancelAgain = `UPDATE task SET again_at = 0 WHERE key = $1 AND state = 'running'`

	finishTask = `UPDATE task SET
			state    = CASE WHEN again_at > 0 THEN 'ready' ELSE 'done' END,
			run_at   = CASE WHEN again_at > 0 THEN again_at ELSE run_at END,
			body     = CASE WHEN again_at > 0 THEN body ELSE '' END,
			attempt  = CASE WHEN again_at > 0 THEN 0 ELSE attempt END,
			ended_at = CASE WHEN again_at > 0 THEN 0 ELSE $3 END,
			again_at = 0, token = 0, lease_until = 0, error = ''
		WHERE key = $1 AND token = $2 AND state = 'running'
		RETURNING state, lane`

	// A claim whose lease is over may not be held on to, even when nobody has
	// taken the task: its lane may have been given away since.
	holdTask = `UPDATE task SET lease_until = lease_until
		WHERE key = $1 AND token = $2 AND state = 'running' AND lease_until > $3`
	renewTask = `UPDATE task SET lease_until = $4
		WHERE key = $1 AND token = $2 AND state = 'running' AND lease_until > $3`

	// A task that was added once more while it ran is not pulled forward by
	// that: the new try covers it, and the wait has its reason. What was asked
	// for a later time than the new try stays asked for.
	retryTask = `UPDATE task SET state = 'ready', run_at = $3, error = $4, token = 0, lease_until = 0
		WHERE key = $1 AND token = $2 AND state = 'running'`

	releaseTasks = `UPDATE task SET state = 'ready', token = 0, lease_until = 0 WHERE state = 'running'`

	purgeTasks = `DELETE FROM task WHERE key IN (
		SELECT key FROM task WHERE state = 'done' AND ended_at < $1 ORDER BY ended_at LIMIT $2)`
)

// maxKinds is how many kinds of tasks a worker may ask for at once. Fewer are
// filled up with repetitions, so that the statement stays the same.
const maxKinds = 12

const (
	// claimTask takes the due task that has waited longest. $1 is now, $2 the
	// new token, $3 the end of the new lease; the kinds follow. What was asked
	// once more until now is covered by the run that begins.
	claimTask = `UPDATE task SET state = 'running', token = $2, lease_until = $3, attempt = attempt + 1,
			again_at = CASE WHEN again_at <= $1 THEN 0 ELSE again_at END
		WHERE key = (
			SELECT t.key FROM task t
			WHERE t.state <> 'done' AND t.kind IN ($4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
				AND ((t.state = 'ready' AND t.run_at <= $1) OR (t.state = 'running' AND t.lease_until <= $1))
				AND (t.lane = '' OR NOT EXISTS (
					SELECT 1 FROM task o
					WHERE o.lane = t.lane AND o.state = 'running' AND o.lease_until > $1 AND o.key <> t.key))
			ORDER BY t.run_at, t.num LIMIT 1)
		RETURNING key, kind, request, lane, body, run_at, once, token, attempt`

	// nextDue is the earliest time at which a task could be claimed if nothing
	// happened until then: a task in a busy lane waits for the lease that
	// keeps the lane busy. $1 is now; the kinds follow.
	nextDue = `SELECT COALESCE(MIN(CASE WHEN busy > due THEN busy ELSE due END), -1) FROM (
		SELECT CASE WHEN t.state = 'ready' THEN t.run_at ELSE t.lease_until END AS due,
			COALESCE((SELECT MAX(o.lease_until) FROM task o
				WHERE t.lane <> '' AND o.lane = t.lane AND o.state = 'running'
					AND o.lease_until > $1 AND o.key <> t.key), 0) AS busy
		FROM task t WHERE t.state <> 'done'
			AND t.kind IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)) AS open_tasks`
)

const recordColumns = `seq, at, request, event, actor_team, actor_user, tenant, command, outcome, detail, policy, plan, prev, hash`

// recordMatches is the filter of records; an empty value filters nothing.
const recordMatches = `($2 = '' OR at >= $2) AND ($3 = '' OR at < $3)
	AND ($4 = '' OR tenant = $4) AND ($5 = '' OR request = $5)
	AND ($6 = '' OR LOWER(request || ' ' || event || ' ' || actor_user || ' ' || tenant || ' ' || command
		|| ' ' || outcome || ' ' || detail) LIKE LOWER($6) ESCAPE '\')`

const (
	lockHead   = `UPDATE audit_head SET seq = seq WHERE id = 1 RETURNING seq, hash`
	selectHead = `SELECT seq, hash FROM audit_head WHERE id = 1`
	moveHead   = `UPDATE audit_head SET seq = $1, hash = $2 WHERE id = 1`

	insertRecord = `INSERT INTO audit (` + recordColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`
	selectRecords = `SELECT ` + recordColumns + ` FROM audit
		WHERE seq >= $1 AND ` + recordMatches + ` ORDER BY seq LIMIT $7`
	selectLastRecords = `SELECT COALESCE(MIN(seq), 0) FROM (SELECT seq FROM audit
		WHERE seq >= $1 AND ` + recordMatches + ` ORDER BY seq DESC LIMIT $7) AS newest`
)

// writing and reading are the statements that are prepared once for each
// connection: parsing one takes longer than running it.
func writing() []string {
	return append(reading(),
		insertRequest, lockRequest, updateRequest, purgeRequests, putBody, putDecision, cutDecisions,
		putStep, cutSteps, putCard, cutCards,
		addTask, cancelTask, cancelOnceTask, cancelAgain, finishTask, holdTask, renewTask, retryTask,
		releaseTasks, purgeTasks, claimTask,
		lockHead, moveHead, insertRecord,
	)
}

func reading() []string {
	return []string{
		selectRequest, selectOpenRequests, selectRecentRequests, selectBody, selectDecisions, selectSteps, selectCards,
		nextDue, selectHead, selectRecords, selectLastRecords,
	}
}

// These are SQLite's own.
const (
	sqliteJournal = `PRAGMA journal_mode`
	// sqliteOwn counts the table that says which version wrote the database,
	// and all tables.
	sqliteOwn = `SELECT COALESCE(SUM(CASE WHEN name = 'goose_db_version' THEN 1 ELSE 0 END), 0), COUNT(*)
		FROM sqlite_master WHERE type = 'table'`
	sqliteVersion = `SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version WHERE is_applied = 1`
)
