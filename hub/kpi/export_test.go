package kpi

// Sealed makes a blob of any payload, with the right checksum.
func Sealed(kind string, payload []byte) []byte {
	e := newEncoder(kind)
	e.data = append(e.data, payload...)
	return e.blob()
}
