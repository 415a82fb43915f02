package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/sensors"
	"github.com/skerry-edge/skerry/sensors/mqtt"
)

const (
	brokerPatience   = 20 * time.Second // how long a broker may take to answer
	maxBrokerMessage = 256 << 20        // bytes: MQTT has no larger ones
)

// brokerConn is a connection to a broker, in a session that ends with it.
type brokerConn struct {
	*mqtt.Conn
	running sync.WaitGroup
}

// connectTo connects to the broker at a URL. receive is given each message.
func connectTo(ctx context.Context, brokerURL, clientID string, receive func(*mqtt.Message)) (*brokerConn, error) {
	m, err := sensors.NewMQTT(sensors.MQTTOptions{Name: "broker", URL: brokerURL, ClientID: clientID, Clean: true, MaxPacket: maxBrokerMessage})
	if err != nil {
		return nil, usageError{errors.New("a broker is named as in mqtt://127.0.0.1:1883, or mqtts://USER:PASSWORD@HOST:8883")}
	}
	ctx, cancel := context.WithTimeout(ctx, brokerPatience)
	defer cancel()
	conn, err := m.Open(ctx, receive)
	if err != nil {
		return nil, err
	}
	return &brokerConn{Conn: conn}, nil
}

// eventsClient is a client id that nobody else has.
func eventsClient() string { return fmt.Sprintf("skerry-events-%x", time.Now().UnixNano()) }

// start takes messages in until the connection ends; lost is told why.
func (c *brokerConn) start(lost func(error)) {
	c.running.Go(func() { lost(c.Run()) })
}

// publish sends a message at QoS 1. What it gives is told when the broker has it,
// or with what ended the connection.
func (c *brokerConn) publish(topic string, data []byte, retain bool) <-chan error {
	answer := make(chan error, 1)
	err := c.Publish(topic, data, 1, retain, func(err error) {
		if err != nil {
			err = connectionEnded(err)
		}
		answer <- err
	})
	if err != nil {
		answer <- err
	}
	return answer
}

func (c *brokerConn) acknowledge(m *mqtt.Message) {
	if m.QoS > 0 {
		c.Ack(m.QoS, m.ID)
	}
}

// close ends what start began.
func (c *brokerConn) close() {
	c.Close()
	c.running.Wait()
}

func connectionEnded(why error) error {
	return fmt.Errorf("the connection to the broker ended: %w", why)
}

// answered waits for the broker's answer.
func answered(answer <-chan error) error {
	select {
	case err := <-answer:
		return err
	case <-time.After(brokerPatience):
		return fmt.Errorf("the broker did not answer for %s", brokerPatience)
	}
}
