package sdk

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"

	"github.com/regulars/regulars/contracts/entity"
)

// actAs makes this test binary act as another program: "connector" serves, "parent" starts a connector and dies.
const actAs = "REGULARS_TEST_ACT_AS"

// act never returns.
func act() {
	switch os.Getenv(actAs) {
	case "connector":
		Serve(talkative())
	case "broken":
		Serve(Connector{})
	case "parent":
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), actAs+"=connector")
		child.ExtraFiles = []*os.File{os.NewFile(3, "alive")}
		stdout, err := child.StdoutPipe()
		if err == nil {
			err = child.Start()
		}
		if err == nil {
			_, err = bufio.NewReader(stdout).ReadString('\n') // it serves
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(0)
}

// talkative logs and fails in every way that could show a secret.
func talkative() Connector {
	type config struct {
		Token Secret `cfg:"token" doc:"The key." validate:"required"`
	}
	return Connector{
		Name: "talkative", Version: "1.0.0", Title: "Talks too much", Config: ConfigOf[config](),
		Streams: []Stream{StreamOf(Stream{Name: "contacts", Doc: "x"}, func(ctx context.Context, cfg config, req ReadRequest) (Page[entity.Contact], error) {
			slog.InfoContext(ctx, "reading", "token", cfg.Token, "config", cfg, "revealed", cfg.Token.Reveal())
			slog.DebugContext(ctx, "not at this level")
			fmt.Println("a line on standard output")
			panic("secret " + cfg.Token.Reveal() + " of ivan@example.com")
		})},
	}
}
