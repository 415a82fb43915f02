package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/skerry-edge/skerry/agent"
)

// printLetters lists letters, one a line.
func printLetters(w io.Writer, list []agent.DeadLetter, output string) error {
	if output == "json" {
		if list == nil {
			list = []agent.DeadLetter{}
		}
		return printJSON(w, list)
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "no dead letters")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tFOR\tTOPIC\tEVENT OF\tTRIES\tSIZE\tWHY") // Flush tells of errors
	for i := range list {
		l := &list[i]
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%d\t%s\t%s\n", l.ID, shown(waitsFor(l.Queue)), shown(cutName(l.Topic, 48)),
			timeText(l.Time), l.Attempts, agent.BytesText(int64(l.Size)), shown(oneLine(l.Reason)))
	}
	return t.Flush()
}

// oneLine cuts a text to what fits in a table.
func oneLine(text string) string {
	text = spaced(text)
	if runes := []rune(text); len(runes) > 100 {
		text = string(runes[:99]) + "…"
	}
	return text
}

// printLetter shows a letter with its data.
func printLetter(w io.Writer, l agent.DeadLetter, output string) error {
	data := payloadOf(l.Data)
	if output == "json" {
		return printJSON(w, struct {
			agent.DeadLetter
			Data   json.RawMessage `json:"data,omitempty"`
			Text   string          `json:"text,omitempty"`
			Base64 []byte          `json:"data_base64,omitempty"`
		}{l, data.Data, data.Text, data.Base64})
	}
	return printFields(w, [][2]string{
		{"id", fmt.Sprint(l.ID)},
		{"for", waitsFor(l.Queue)},
		{"why", l.Reason},
		{"tries", fmt.Sprint(l.Attempts)},
		{"function", l.Function},
		{"trigger", l.Trigger},
		{"event", l.Event},
		{"of", l.Time.UTC().Format("2006-01-02 15:04:05.000Z")},
		{"topic", l.Topic},
		{"content type", l.ContentType},
		{"data", agent.BytesText(int64(l.Size))},
	}, data.raw)
}
