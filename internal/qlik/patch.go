package qlik

// PatchOp is one operation of a JSON Patch as Qlik takes it: RFC 6902 with the
// additional op "remove-value". Qlik wants it sent as application/json.
type PatchOp struct {
	// Op is one of the Patch constants.
	Op string `json:"op"`
	// Path is a JSON pointer, "/assignedRoles/-".
	Path string `json:"path"`
	// Value is anything that can be written as JSON.
	Value any `json:"value"`
}

// The ops that this client sends (users.json: JSONPatch.op).
const (
	PatchReplace     = "replace"
	PatchAdd         = "add"
	PatchRemoveValue = "remove-value"
)

// Replace is the op that sets a property.
func Replace(path string, value any) PatchOp {
	return PatchOp{Op: PatchReplace, Path: path, Value: value}
}

// Add is the op that appends to a list when path ends in "/-".
func Add(path string, value any) PatchOp {
	return PatchOp{Op: PatchAdd, Path: path, Value: value}
}

// RemoveValue is the op that takes the value out of the list at path.
func RemoveValue(path string, value any) PatchOp {
	return PatchOp{Op: PatchRemoveValue, Path: path, Value: value}
}
