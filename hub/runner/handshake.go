package runner

import (
	"crypto/x509"
	"encoding/base64"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hashicorp/go-plugin"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
)

// startFault is why a connector did not start.
type startFault struct {
	cause   Cause
	message string
}

// readHandshake checks the line by which a connector says where it listens and returns what go-plugin may see of it:
//
//	core version | application version | unix | socket path | grpc [ | certificate ]
//
// go-plugin would panic on a certificate nobody asked for, and connect to any address, so both are refused here: the
// socket must lie in the private folder the connector was given, as everybody on the machine can reach TCP.
func readHandshake(line, socketDir string, mtls bool) (string, *startFault) {
	parts := strings.Split(strings.TrimSpace(line), "|")
	if len(parts) < 4 {
		return "", &startFault{CauseHandshake, "its first line of output is not a go-plugin handshake; is it a connector?"}
	}
	core, err := strconv.Atoi(parts[0])
	if err != nil {
		return "", &startFault{CauseHandshake, "its first line of output is not a go-plugin handshake; is it a connector?"}
	}
	if core != plugin.CoreProtocolVersion {
		return "", &startFault{CauseProtocol, "it speaks version " + strconv.Itoa(core) + " of go-plugin's core protocol, the hub " +
			strconv.Itoa(plugin.CoreProtocolVersion)}
	}
	version, err := strconv.Atoi(parts[1])
	if err != nil {
		return "", &startFault{CauseHandshake, "its handshake names no protocol version"}
	}
	if version != connectorv1.ProtocolVersion {
		return "", &startFault{CauseProtocol, "it speaks version " + strconv.Itoa(version) + " of the connector protocol, the hub " +
			strconv.Itoa(connectorv1.ProtocolVersion) + "; install a build that fits this hub"}
	}
	if len(parts) < 5 || plugin.Protocol(parts[4]) != plugin.ProtocolGRPC {
		return "", &startFault{CauseProtocol, "it does not serve gRPC"}
	}
	if parts[2] != "unix" {
		return "", &startFault{CauseHandshake, "it does not listen on a Unix socket in the folder $PLUGIN_UNIX_SOCKET_DIR"}
	}
	if socket := filepath.Clean(parts[3]); filepath.Dir(socket) != filepath.Clean(socketDir) {
		return "", &startFault{CauseHandshake, "its socket is not in the folder $PLUGIN_UNIX_SOCKET_DIR"}
	}
	if !mtls {
		return strings.Join(parts[:5], "|"), nil
	}
	if len(parts) < 6 || !isCertificate(parts[5]) {
		return "", &startFault{CauseHandshake, "it declares auto_mtls but its handshake holds no certificate"}
	}
	return strings.Join(parts[:6], "|"), nil
}

func isCertificate(text string) bool {
	der, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return false
	}
	_, err = x509.ParseCertificate(der)
	return err == nil
}
