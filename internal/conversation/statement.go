package conversation

// The statements of every turn.
const (
	findSQL = `SELECT ` + sessionColumns + ` FROM conversation` + whereSession

	openSQL = `INSERT INTO conversation (` + sessionColumns + `) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, NULL, ?, ?, ?, ?, ?)`

	holdSQL = `UPDATE conversation SET running = ?, request = ?, holder = ?, lease = ?, fence = ?, ttl = ?, expires = ? WHERE id = ? AND fence = ?`

	intentSQL = `INSERT INTO conversation_step (conversation, turn, number, intent)
		SELECT id, running, ?, ? FROM conversation WHERE id = ? AND fence = ? AND running = ?`

	resultSQL = `UPDATE conversation_step SET result = ? WHERE conversation = ? AND turn = ? AND number = ? AND result IS NULL
		AND EXISTS (SELECT 1 FROM conversation WHERE id = ? AND fence = ?)`

	endSQL    = `UPDATE conversation SET running = 0, holder = '', lease = 0, fence = fence + 1, turns = ?, expires = ?`
	endedSQL  = ` WHERE id = ? AND fence = ? RETURNING request`
	failSQL   = endSQL + endedSQL
	finishSQL = endSQL + `, state = ?` + endedSQL

	turnSQL = `INSERT INTO conversation_turn (conversation, number, status, request, call, ended, record) VALUES (?, ?, ?, ?, ?, ?, ?)`

	forgetSQL = `DELETE FROM conversation_step WHERE conversation = ? AND turn = ?`

	recordsSQL = `SELECT number, record FROM conversation_turn WHERE conversation = ? AND status = 'done' ORDER BY number DESC`
	limitSQL   = ` LIMIT ?`
)

// Statements are those that every turn runs, for store.Config.Hot.
func Statements() []string {
	return []string{findSQL, openSQL, holdSQL, intentSQL, resultSQL, finishSQL, turnSQL, forgetSQL, recordsSQL}
}
