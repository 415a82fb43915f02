package uplink_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/uplink"
)

const serverlessFunctions = `
exports.sees = async (event, context) => { console.log("seen " + event.id + " " + JSON.stringify(event.data)); return event }
exports.throws = async () => { throw new Error("boom") }
`

// The Lambda API of the Serverless Framework: answers, errors of functions, and
// functions that are not there. (A function that throws is called with mode
// sync only: after an asynchronous one serverless-offline 13.10.1 ends itself.)
func TestLambdaAgainstServerless(t *testing.T) {
	s := testbed.StartServerless(t, serverlessFunctions, "sees", "throws")
	send := func(function, mode, id string) error {
		c := kindConfig("lambda", s.Endpoint)
		c.Function, c.Mode = s.Prefix+function, mode
		rec := sample()
		rec.Event.ID = id
		return open(t, c).Send(t.Context(), rec)
	}
	for _, mode := range []string{"async", "sync"} {
		if err := send("sees", mode, "id-of-"+mode); err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		testbed.Eventually(t, 20*time.Second, "the function runs", func() error {
			if !strings.Contains(s.Output(), `seen id-of-`+mode+` {"t":21}`) {
				return errors.New(s.Output())
			}
			return nil
		})
	}
	err := send("throws", "sync", "id")
	if uplink.ClassOf(err) != uplink.FnError || !strings.Contains(err.Error(), "boom") || !strings.Contains(err.Error(), "Unhandled") {
		t.Errorf("a function that throws: %v, %v", uplink.ClassOf(err), err)
	}
	for _, mode := range []string{"async", "sync"} {
		if err := send("none", mode, "id"); uplink.ClassOf(err) != uplink.Hold || statusOf(err) != 404 {
			t.Errorf("no function, %s: %v, %v", mode, uplink.ClassOf(err), err)
		}
	}
}
