package main

// pauseKernel makes the hint of a waiting loop.
func pauseKernel(g *gen) {
	g.function("pause", "func()", "pause tells the processor that this is a waiting loop.")
	g.PAUSE()
	g.RET()
}
