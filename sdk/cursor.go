package sdk

import (
	"encoding/json"
	"fmt"
)

// EncodeCursor writes a connector's own cursor as JSON. C is a small struct; name its version in it once its
// meaning changes, as cursors outlive releases.
func EncodeCursor[C any](c C) []byte {
	data, err := json.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("a cursor cannot be encoded: %v", err))
	}
	return data
}

// DecodeCursor reads what EncodeCursor wrote; no bytes are the zero cursor.
func DecodeCursor[C any](data []byte) (C, error) {
	var c C
	if len(data) == 0 {
		return c, nil
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, Bug("the cursor has a form this version does not know; read the stream again in full")
	}
	return c, nil
}
