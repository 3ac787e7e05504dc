package process

// read takes what is printed until the last writer has gone.
func (o *output) read() {
	buf := make([]byte, 32<<10)
	for {
		n, err := o.reader.Read(buf)
		o.mu.Lock()
		o.add(buf[:n])
		o.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// drain cannot look into a pipe without waiting here: what a function prints in
// its last moment may stand behind its END line.
func (o *output) drain() {}
