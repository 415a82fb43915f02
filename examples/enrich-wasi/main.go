// Enrich-wasi adds to each reading where and when it was taken. It is a plain
// program: the event comes on standard input, the result goes to standard
// output, log lines to standard error. Nothing of Skerry is linked.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// exitReject tells the agent that the event can never be processed.
const exitReject = 65

func main() {
	var reading map[string]json.RawMessage // so that numbers keep their digits
	if err := json.NewDecoder(os.Stdin).Decode(&reading); err != nil || reading == nil {
		fmt.Fprintln(os.Stderr, "the event is not a JSON object")
		os.Exit(exitReject)
	}
	for name, variable := range map[string]string{"topic": "SKERRY_TOPIC", "time": "SKERRY_TIME", "site": "SITE"} {
		text, _ := json.Marshal(os.Getenv(variable)) // a text always marshals
		reading[name] = text
	}
	fmt.Fprintln(os.Stderr, "enriched", os.Getenv("SKERRY_EVENT_ID"))
	out, err := json.Marshal(reading)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, _ = os.Stdout.Write(out) // the agent takes it all
}
