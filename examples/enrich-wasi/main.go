// Enrich adds to each reading where and when it was taken. It is a plain
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
	var reading map[string]any
	if err := json.NewDecoder(os.Stdin).Decode(&reading); err != nil {
		fmt.Fprintln(os.Stderr, "the event is not a JSON object:", err)
		os.Exit(exitReject)
	}
	reading["topic"] = os.Getenv("SKERRY_TOPIC")
	reading["time"] = os.Getenv("SKERRY_TIME")
	reading["site"] = os.Getenv("SITE")
	fmt.Fprintln(os.Stderr, "enriched", os.Getenv("SKERRY_EVENT_ID"))
	if err := json.NewEncoder(os.Stdout).Encode(reading); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
