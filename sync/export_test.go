package fleetsync

import "context"

// PublishRaw signs and publishes documents that no publish of this release would
// let pass.
func PublishRaw(ctx context.Context, access Access, change func(docs map[string][]byte)) error {
	r, err := OpenFleet(ctx, access)
	if err != nil {
		return err
	}
	p := r.plan()
	change(p.docs)
	_, err = r.Push(ctx, p, nil)
	return err
}

// Covers tells whether a topic filter matches all that another one does.
var Covers = covers

// RereadBook reads a pin of the history and writes it again.
func RereadBook(data []byte) ([]byte, error) {
	b, err := readBook(data)
	if err != nil {
		return nil, err
	}
	return b.encode(), nil
}
