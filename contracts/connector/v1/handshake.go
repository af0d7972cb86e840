// Package connectorv1 is version 1 of the connector protocol: generated messages and the handshake's constants.
package connectorv1

// What the hub and a connector agree on before the first call. Both sides use go-plugin with the gRPC protocol
// only, and a plugin set that holds one plugin of the name PluginName.
const (
	// ProtocolVersion is go-plugin's application protocol version.
	ProtocolVersion = 1
	// MagicCookieKey and MagicCookieValue tell a connector that a hub started it. They are no secret.
	MagicCookieKey   = "REGULARS_CONNECTOR"
	MagicCookieValue = "v1"
	// PluginName is the name the service is dispensed under.
	PluginName = "connector"
)

// Limits of one page and one message. The SDK keeps them, the hub checks them (R8).
const (
	// MaxPageRecords is how many records a page holds at most.
	MaxPageRecords = 500
	// MaxPageBytes is how large the records of a page are together, unless one record alone is larger.
	MaxPageBytes = 1 << 20
	// MaxRecordBytes is the hard limit of one record; a larger one becomes a dead letter.
	MaxRecordBytes = 8 << 20
	// MaxMessageBytes is what both sides set as gRPC's limits: one largest record and what travels around it.
	MaxMessageBytes = MaxRecordBytes + 1<<20
	// MaxKeyBytes is how long a record key is at most.
	MaxKeyBytes = 512
	// MaxCursorBytes is how long a cursor is at most.
	MaxCursorBytes = 512 << 10
)

// MembersStream is the stream that reads who is on a target.
const MembersStream = "members"

// LogLevelEnv names the environment variable that sets a connector's log level: debug, info, warn or error.
const LogLevelEnv = "REGULARS_LOG_LEVEL"
