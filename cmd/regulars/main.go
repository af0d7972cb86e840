// Regulars is the hub and its command line in one program.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the default is back: the second one ends the program at once.
	context.AfterFunc(ctx, stop)
	code := execute(ctx, os.Args[1:], system())
	stop()
	os.Exit(code)
}
