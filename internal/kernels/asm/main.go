// Command asm generates the assembly of the kernels package: for each file
// below NAME_amd64.s and its Go declarations NAME_stubs_amd64.go, and for the
// activations the Go that calls them.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/buildtags"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	dir := flag.String("dir", ".", "folder that the files are written to")
	flag.Parse()
	for name, kernels := range map[string]func(*gen){
		"gemm_asm":        gemmKernels,
		"attention_asm":   attentionKernels,
		"sampling_asm":    samplingKernels,
		"transpose_asm":   transposeKernels,
		"conv_asm":        convKernels,
		"winograd_asm":    winogradKernels,
		"pool2d_asm":      poolKernels,
		"pair_asm":        pairKernels,
		"select_asm":      selectKernels,
		"pow_asm":         powKernels,
		"elementwise_asm": elementwiseKernels,
		"reduce_asm":      reduceKernels,
		"activation_asm":  activationKernels,
		"halffloat_asm":   halfFloatKernels,
		"gemm_half_asm":   halfProducts,
		"gemm_int8_asm":   int8Products,
		"pause_asm":       pauseKernel,
		"probe_asm":       probeKernels,
	} {
		if err := write(filepath.Join(*dir, name), kernels); err != nil {
			log.Fatalf("asm: %s: %v", name, err)
		}
	}
	if err := writeActivations(filepath.Join(*dir, "activation_asm")); err != nil {
		log.Fatalf("asm: activations: %v", err)
	}
	if err := writePairs(filepath.Join(*dir, "pair_asm")); err != nil {
		log.Fatalf("asm: pairs: %v", err)
	}
}

// gen is the avo context of one file.
type gen struct {
	*build.Context
	masks       operand.Mem
	order       operand.Mem
	constants   map[uint32]operand.Mem
	constants64 map[uint64]operand.Mem
}

// function starts a function without a stack frame, whose arguments do not
// escape.
func (g *gen) function(name, signature, doc string) {
	g.Function(name)
	g.Attributes(attr.NOSPLIT)
	g.Pragma("noescape")
	g.Doc(doc)
	g.SignatureExpr(signature)
}

// done ends a function: it clears the upper halves of the vector registers,
// because later SSE code would be slow otherwise.
func (g *gen) done() {
	g.VZEROUPPER()
	g.RET()
}

func write(name string, kernels func(*gen)) error {
	g := &gen{Context: build.NewContext()}
	constraint, err := buildtags.ParseConstraint("amd64,!purego")
	if err != nil {
		return err
	}
	g.Constraint(constraint)
	kernels(g)
	file, err := g.Result()
	if err != nil {
		return err
	}
	if err := pass.Compile.Execute(file); err != nil {
		return err
	}
	if err := checkRegisters(file); err != nil {
		return err
	}
	config := printer.Config{Name: "internal/kernels/asm", Pkg: "kernels"}
	if err := print(name+"_amd64.s", printer.NewGoAsm(config), file); err != nil {
		return err
	}
	return print(name+"_stubs_amd64.go", printer.NewStubs(config), file)
}

func print(name string, p printer.Printer, file *ir.File) error {
	text, err := p.Print(file)
	if err != nil {
		return err
	}
	return os.WriteFile(name, text, 0o644)
}

// checkRegisters reports functions for AVX2 that use the 16 vector registers of
// AVX-512: the allocator does not know the difference.
func checkRegisters(file *ir.File) error {
	for _, f := range file.Functions() {
		for _, i := range f.Instructions() {
			for _, o := range i.Operands {
				for _, r := range operand.Registers(o) {
					p := reg.ToPhysical(r)
					if strings.HasSuffix(f.Name, "AVX2") && p != nil && p.Kind() == reg.KindVector && p.PhysicalIndex() > 15 {
						return fmt.Errorf("%s uses %s", f.Name, p.Asm())
					}
				}
			}
		}
	}
	return nil
}
