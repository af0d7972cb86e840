package runner

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const socketDir = "/run/regulars/plugin-dir1"

func certificate(tb testing.TB) string {
	tb.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(tb, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	require.NoError(tb, err)
	return base64.RawStdEncoding.EncodeToString(der)
}

func TestReadHandshake(t *testing.T) {
	const plain = "1|1|unix|" + socketDir + "/s|grpc"
	secure := plain + "|" + certificate(t)
	for name, c := range map[string]struct {
		line  string
		mtls  bool
		clean string
		cause Cause
	}{
		"plain":         {plain + "\n", false, plain, ""},
		"empty tail":    {plain + "|\n", false, plain, ""},
		"multiplex":     {plain + "||true\n", false, plain, ""},
		"secure":        {secure + "\n", true, secure, ""},
		"secure, more":  {secure + "|true\n", true, secure, ""},
		"not asked for": {secure + "\n", false, plain, ""}, // go-plugin would panic
		"missing":       {plain + "\n", true, "", CauseHandshake},
		"no cert":       {plain + "|" + strings.Repeat("A", 80), true, "", CauseHandshake},
		"empty":         {"\n", false, "", CauseHandshake},
		"words":         {"hello world\n", false, "", CauseHandshake},
		"short":         {"1|1|unix\n", false, "", CauseHandshake},
		"core":          {"2|1|unix|" + socketDir + "/s|grpc", false, "", CauseProtocol},
		"core word":     {"x|1|unix|" + socketDir + "/s|grpc", false, "", CauseHandshake},
		"version":       {"1|9|unix|" + socketDir + "/s|grpc", false, "", CauseProtocol},
		"version word":  {"1|x|unix|" + socketDir + "/s|grpc", false, "", CauseHandshake},
		"netrpc":        {"1|1|unix|" + socketDir + "/s", false, "", CauseProtocol},
		"tcp":           {"1|1|tcp|127.0.0.1:80|grpc", false, "", CauseHandshake},
		"elsewhere":     {"1|1|unix|/run/docker.sock|grpc", false, "", CauseHandshake},
		"climbing":      {"1|1|unix|" + socketDir + "/../../docker.sock|grpc", false, "", CauseHandshake},
		"abstract":      {"1|1|unix|@s|grpc", false, "", CauseHandshake},
	} {
		t.Run(name, func(t *testing.T) {
			clean, fault := readHandshake(c.line, socketDir, c.mtls)
			require.Equal(t, c.clean, clean)
			if c.cause == "" {
				require.Nil(t, fault)
				return
			}
			require.Equal(t, c.cause, fault.cause)
			require.NotEmpty(t, fault.message)
		})
	}
}

// Whatever a connector says, go-plugin gets a line of the agreed form or none.
func FuzzReadHandshake(f *testing.F) {
	f.Add("1|1|unix|"+socketDir+"/s|grpc|"+certificate(f), true)
	f.Add("1|1|unix|"+socketDir+"/s|grpc\n", false)
	f.Add("1|1|tcp|localhost:1|netrpc|", false)
	f.Fuzz(func(t *testing.T, line string, mtls bool) {
		clean, fault := readHandshake(line, socketDir, mtls)
		if fault != nil {
			require.Empty(t, clean)
			require.Contains(t, []Cause{CauseHandshake, CauseProtocol}, fault.cause)
			return
		}
		parts := strings.Split(clean, "|")
		require.Equal(t, "unix", parts[2])
		require.True(t, strings.HasPrefix(parts[3], socketDir))
		require.Equal(t, "grpc", parts[4])
		require.Len(t, parts, map[bool]int{false: 5, true: 6}[mtls])
	})
}
