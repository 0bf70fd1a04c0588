package plan

// images joins each reduction over images with the convolutions that it is after,
// and what is between them: executors store images behind a convolution with their
// channels last, and a sum over an image in that order rounds differently from one
// over an image as it crosses from part to part.
func (s *splitter) images() {
	after := make([]bool, len(s.p.Steps)) // by step: an image behind a convolution
	for i := range s.p.Steps {
		step := &s.p.Steps[i]
		after[i] = step.Op == "conv2d"
		for _, v := range step.In {
			if j := s.of[v]; j >= 0 && after[j] && s.image(v) && s.image(step.Out) {
				after[i] = true
			}
		}
	}
	seen := make([]bool, len(s.p.Steps))
	var work []int
	for i := range s.p.Steps {
		switch s.p.Steps[i].Op {
		case "reduce", "group_norm", "avg_pool2d":
			work = append(work, i)
		}
	}
	for len(work) > 0 {
		i := work[len(work)-1]
		work = work[:len(work)-1]
		for _, v := range s.p.Steps[i].In {
			j := s.of[v]
			if j < 0 || !after[j] || !s.image(v) {
				continue
			}
			s.union(i, j)
			if s.p.Steps[j].Op != "conv2d" && !seen[j] {
				seen[j] = true
				work = append(work, j)
			}
		}
	}
}

// image reports whether a value has the rank of images.
func (s *splitter) image(v int) bool { return len(s.p.Values[v].Spec.Shape) == 4 }
