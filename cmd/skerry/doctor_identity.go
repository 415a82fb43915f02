package main

import (
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// checkIdentity tells who an enrolled device is, and whether it is a copy of another
// one: then the agent does not start. Root is that of the file system.
func checkIdentity(data, root string) []finding {
	id, err := readIdentity(data)
	switch {
	case errors.Is(err, fs.ErrPermission): // checkData tells it
		return nil
	case err != nil:
		return []finding{{"identity", failing, err.Error(), ""}}
	case id == nil:
		return nil
	}
	if other := id.Hardware.differs(readHardware(root)); other != "" {
		return []finding{{"identity", failing, cloned(id, other).Error(), ""}}
	}
	return []finding{{"identity", fine, fmt.Sprintf("%s (id: %s), enrolled on %s", id.ID, id.From, id.Made.Format(time.DateOnly)), ""}}
}
