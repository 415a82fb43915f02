package broker

const quotaExceeded = 0x97

// subscribe takes a SUBSCRIBE. It is answered when the filters are on disk.
func (c *conn) subscribe(body []byte) error {
	id, filters, err := parseSubscribe(body, c.version, false)
	if err != nil {
		return err
	}
	b := c.b
	b.mu.Lock()
	defer b.mu.Unlock()
	s := c.s
	if s.conn != c {
		return refusedTakenOver
	}
	codes := make([]byte, len(filters))
	send := make([]bool, len(filters)) // the retained messages
	d := &debt{n: 1}
	for i := range filters {
		f := &filters[i]
		if codes[i] = c.refusedFilter(f); codes[i] != 0 {
			continue
		}
		if c.bridge {
			f.noLocal, f.asKept = f.share == "", true
		}
		codes[i] = f.qos
		isNew := s.add(f, d)
		send[i] = f.share == "" && (f.handling == 0 || f.handling == 1 && isNew)
	}
	d.paid = func() {
		if s.conn != c {
			return
		}
		c.out.Add(c.suback(typeSuback, id, codes)) // if that fails the reader sees why
		for i := range filters {
			if send[i] {
				b.sendRetained(s, &filters[i])
			}
		}
	}
	d.pay()
	return nil
}

// refusedFilter is the code of a filter that the client cannot have, 0 if it can.
func (c *conn) refusedFilter(f *filterOption) byte {
	code := byte(0)
	switch {
	case f.err != nil:
		code = refusedFilter.code
	case !c.rights.maySubscribe(f.filter):
		code = refusedRights.code
	case len(c.s.subs) >= c.b.limits.Filters && c.s.subs[f.full] == nil:
		code = quotaExceeded
	}
	if code != 0 {
		c.b.warn("subscription refused", "client", c.id, "filter", f.full)
		if c.version < 5 {
			code = 0x80
		}
	}
	return code
}

// suback is a SUBACK or UNSUBACK.
func (c *conn) suback(kind byte, id uint16, codes []byte) []byte {
	body := []byte{byte(id >> 8), byte(id)}
	if c.version == 5 {
		body = append(body, 0)
	}
	if c.version == 5 || kind == typeSuback {
		body = append(body, codes...)
	}
	return appendPacket(nil, kind<<4, body)
}

// unsubscribe takes an UNSUBSCRIBE.
func (c *conn) unsubscribe(body []byte) error {
	id, filters, err := parseSubscribe(body, c.version, true)
	if err != nil {
		return err
	}
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	s := c.s
	if s.conn != c {
		return refusedTakenOver
	}
	codes := make([]byte, len(filters))
	d := &debt{n: 1, paid: func() { c.out.Add(c.suback(typeUnsuback, id, codes)) }}
	for i := range filters {
		if !s.remove(filters[i].full, d) {
			codes[i] = 0x11 // there was none
		}
	}
	d.pay()
	return nil
}

// add subscribes s; isNew tells that it did not have the filter.
func (s *session) add(f *filterOption, d *debt) (isNew bool) {
	b := s.b
	old := s.subs[f.full]
	if old != nil {
		b.topics.remove(old)
		b.filters--
	}
	s.insert(f)
	if s.stored() {
		d.n++
		b.disk.filter(s.id, f, d.pay)
	}
	return old == nil
}

func (s *session) insert(f *filterOption) {
	sub := &subscription{s: s, filterOption: *f}
	s.subs[f.full] = sub
	s.b.topics.add(sub)
	s.b.filters++
	s.b.changed()
}

// remove takes a filter from s; false means that it did not have it.
func (s *session) remove(full string, d *debt) bool {
	b := s.b
	sub := s.subs[full]
	if sub == nil {
		return false
	}
	b.topics.remove(sub)
	delete(s.subs, full)
	b.filters--
	b.changed()
	if s.stored() {
		var durable func()
		if d != nil {
			d.n++
			durable = d.pay
		}
		b.disk.unfilter(s.id, full, durable)
	}
	return true
}
