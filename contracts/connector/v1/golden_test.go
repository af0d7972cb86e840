package connectorv1_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// Connectors in the field were built with the messages of their day. These files pin both wire forms of each message
// of the protocol: what is in them once released has to be written the same and has to be read the same for as long as v1 lives.
func TestWireForms(t *testing.T) {
	for _, message := range examples() {
		name := string(message.ProtoReflect().Descriptor().Name())

		t.Run(name+" as JSON", func(t *testing.T) {
			written, err := protojson.Marshal(message)
			require.NoError(t, err)
			// protojson varies its spacing on purpose.
			var indented bytes.Buffer
			require.NoError(t, json.Indent(&indented, written, "", "  "))
			indented.WriteByte('\n')

			pinned := golden(t, name+".json", indented.Bytes())
			assert.Equal(t, string(pinned), indented.String())

			read := message.ProtoReflect().New().Interface()
			require.NoError(t, protojson.Unmarshal(pinned, read))
			assertEqual(t, message, read)
		})

		t.Run(name+" as binary", func(t *testing.T) {
			written, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
			require.NoError(t, err)
			text := hexLines(written)

			pinned := golden(t, name+".hex", text)
			assert.Equal(t, string(pinned), string(text))

			binary, err := hex.DecodeString(strings.Join(strings.Fields(string(pinned)), ""))
			require.NoError(t, err)
			read := message.ProtoReflect().New().Interface()
			require.NoError(t, proto.Unmarshal(binary, read))
			assertEqual(t, message, read)
		})
	}
}

// A field that no example sets has no pinned wire form, so a new one belongs into an example too.
func TestExamplesSetEveryFieldOfTheProtocol(t *testing.T) {
	set := map[protoreflect.FullName]bool{}
	for _, message := range examples() {
		markSet(message.ProtoReflect(), set)
	}

	file := connectorv1.File_connector_v1_connector_proto
	for i := range file.Messages().Len() {
		fields := file.Messages().Get(i).Fields()
		for j := range fields.Len() {
			assert.True(t, set[fields.Get(j).FullName()], "no example sets %s", fields.Get(j).FullName())
		}
	}

	pinned := map[protoreflect.FullName]bool{}
	for _, message := range examples() {
		pinned[message.ProtoReflect().Descriptor().FullName()] = true
	}
	methods := file.Services().ByName("Connector").Methods()
	for i := range methods.Len() {
		assert.True(t, pinned[methods.Get(i).Input().FullName()], "no example of %s", methods.Get(i).Input().FullName())
		assert.True(t, pinned[methods.Get(i).Output().FullName()], "no example of %s", methods.Get(i).Output().FullName())
	}
}

// v1 grows, and a hub and a connector are seldom of one age: the older side drops what it does not know.
func TestOlderReaderIgnoresWhatItDoesNotKnow(t *testing.T) {
	const fromTheFuture = 1000
	page := &connectorv1.ReadResponse{NextCursor: []byte("n"), HasMore: true}
	binary, err := proto.Marshal(page)
	require.NoError(t, err)
	binary = protowire.AppendTag(binary, fromTheFuture, protowire.BytesType)
	binary = protowire.AppendString(binary, "new in a later release")

	read := &connectorv1.ReadResponse{}
	require.NoError(t, proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(binary, read))
	assertEqual(t, page, read)

	binary, err = proto.Marshal(&connectorv1.Problem{Kind: fromTheFuture})
	require.NoError(t, err)
	problem := &connectorv1.Problem{}
	require.NoError(t, proto.Unmarshal(binary, problem))
	assert.Equal(t, connectorv1.Problem_Kind(fromTheFuture), problem.GetKind())
	assert.Nil(t, problem.GetKind().Descriptor().Values().ByNumber(fromTheFuture))
}

// markSet notes the fields that are set in the message and in what it holds.
func markSet(message protoreflect.Message, set map[protoreflect.FullName]bool) {
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		set[field.FullName()] = true
		switch {
		case field.IsMap():
			if field.MapValue().Message() != nil {
				value.Map().Range(func(_ protoreflect.MapKey, value protoreflect.Value) bool {
					markSet(value.Message(), set)
					return true
				})
			}
		case field.Message() == nil:
		case field.IsList():
			for i := range value.List().Len() {
				markSet(value.List().Get(i).Message(), set)
			}
		default:
			markSet(value.Message(), set)
		}
		return true
	})
}

// golden returns the pinned content of the file, which with -update is what was written now.
func golden(t *testing.T, name string, written []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, written, 0o644))
	}
	pinned, err := os.ReadFile(path)
	require.NoError(t, err, "run the tests of this package once with -update")
	return pinned
}

// hexLines writes 32 bytes a line, so that a change shows as a difference of few lines.
func hexLines(binary []byte) []byte {
	var text bytes.Buffer
	for len(binary) > 0 {
		n := min(32, len(binary))
		text.WriteString(hex.EncodeToString(binary[:n]))
		text.WriteByte('\n')
		binary = binary[n:]
	}
	return text.Bytes()
}

func assertEqual(t *testing.T, want, got proto.Message) {
	t.Helper()
	assert.True(t, proto.Equal(want, got), "want %v\n got %v", want, got)
}
