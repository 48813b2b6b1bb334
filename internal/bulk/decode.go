package bulk

import "github.com/omnichat/shopifysync/internal/adminapi"

// Object says what a line holds.
type Object struct {
	// CustomerID is the number at the end of the customer's id, 0 in a child.
	CustomerID int64
	// Child: the object hangs below another one (it has a __parentId). It
	// counts as an object of the operation, not as a root object.
	Child bool
}

// LineError says why a line is no customer. It quotes nothing of the line.
type LineError struct {
	CustomerID int64  // 0 if the line did not tell
	Reason     string // without any value
}

func (e *LineError) Error() string { return e.Reason }

// Decode reads one customer.
func Decode(line []byte, c *adminapi.CustomerFields) (Object, error) { panic("soon") }

// DecodeID reads who a line is about and nothing else.
func DecodeID(line []byte) (Object, error) { panic("soon") }
