package io.espalier.onnx.repair;

import io.espalier.onnx.model.FunctionCalls;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.repair.Rewrite.Outcome;
import io.espalier.tensor.EspalierException;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Cleans up what an exporter left: constants hidden behind operators, layers that could be one,
 * operators spelled out. The result computes what the model did, within rounding.
 *
 * <pre>{@code
 * Repaired repaired = Repair.run(OnnxModel.load(Path.of("ocr.onnx")));
 * repaired.model().save(Path.of("ocr-repaired.onnx"));
 * }</pre>
 *
 * <p>Subgraphs and operators of other domains are left as they are, and so are models whose
 * operators are of versions before 7 or after 23.
 */
public final class Repair {
    /** What one pass brings to light is enough for the next; chains longer than this are none. */
    private static final int MOST_ROUNDS = 4;

    static final String FUNCTIONS = "functions";

    private static final List<Pass> ALL =
            List.of(
                    new Pass(
                            FUNCTIONS,
                            "Puts the nodes of the file's own functions in the place of their"
                                    + " calls.",
                            Repair::inlineFunctions),
                    new Pass(
                            "constant-folding",
                            "Computes what is the same in each run, unless it would take more"
                                    + " room.",
                            Rewrite.inPlace(ConstantFolding::fold)),
                    new Pass(
                            "no-operations",
                            "Takes out what gives its input unchanged, and pairs that undo each"
                                    + " other.",
                            Rewrite.inPlace(NoOperations::remove)),
                    new Pass(
                            "common-subexpressions",
                            "Computes once what was computed twice.",
                            Rewrite.inPlace(CommonSubexpressions::join)),
                    new Pass(
                            "shape-arithmetic",
                            "Replaces what is computed from shapes and is the same in each run.",
                            Rewrite.inPlace(ShapeArithmetic::compute)),
                    new Pass(
                            "branches",
                            "Puts a branch that is the same in each run in the place of its If.",
                            Rewrite.inPlace(KnownBranches::inline)),
                    new Pass(
                            "zero-states",
                            "Leaves initial states of recurrent layers out that are zero, as they"
                                    + " are without.",
                            Rewrite.inPlace(ZeroStates::remove)),
                    new Pass(
                            "opset",
                            "Raises the version of the operators if an operator recognized below"
                                    + " needs it.",
                            OpsetConversion::raise),
                    new Pass(
                            "layer-normalization",
                            "Recognizes LayerNormalization in means, differences and roots.",
                            Rewrite.inPlace(LayerNormalizations::recognize)),
                    new Pass(
                            "gelu",
                            "Recognizes GELU, by the error function or the hyperbolic tangent.",
                            Rewrite.inPlace(Recognition::gelu).callingRuntime()),
                    new Pass(
                            "hard-swish",
                            "Recognizes HardSwish, which a convolution before it takes in.",
                            Rewrite.inPlace(Recognition::hardSwish)),
                    new Pass(
                            "sigmoid",
                            "Recognizes Sigmoid and SiLU in exponentials.",
                            Rewrite.inPlace(Recognition::sigmoid)),
                    new Pass(
                            "fold-following",
                            "Folds BatchNormalization, scales and shifts after a layer into its"
                                    + " weights.",
                            Rewrite.inPlace(AffineFolding::intoLayerBefore)),
                    new Pass(
                            "fold-preceding",
                            "Folds scales and shifts before a layer into its weights.",
                            Rewrite.inPlace(AffineFolding::intoLayersAfter)),
                    new Pass(
                            "affine-layout",
                            "Keeps other scales and shifts between convolutions in their layout.",
                            Rewrite.inPlace(AffineLayout::normalize)),
                    new Pass(
                            "dead-channels",
                            "Takes out channels that are always zero, or that nothing reads.",
                            Rewrite.inPlace(DeadChannels::remove)),
                    new Pass(
                            "dead-code",
                            "Takes out what no result depends on.",
                            Rewrite.inPlace(subject -> subject.graph().removeUnused())),
                    new Pass(
                            "shared-constants",
                            "Keeps equal constants once.",
                            Rewrite.inPlace(CommonSubexpressions::joinConstants)));

    private Repair() {}

    /** All passes, in the order in which they run. */
    public static List<Pass> all() {
        return ALL;
    }

    /**
     * The pass of this name.
     *
     * @throws EspalierException if there is none
     */
    public static Pass pass(String name) {
        return ALL.stream()
                .filter(pass -> pass.name().equals(name))
                .findFirst()
                .orElseThrow(() ->
                        new EspalierException(
                                "No pass is named '%s'; there are: %s."
                                        .formatted(
                                                name,
                                                ALL.stream()
                                                        .map(Pass::name)
                                                        .collect(Collectors.joining(", ")))));
    }

    /**
     * The model in operators of at least a version of the standard, or itself if one of them can't
     * be written so.
     *
     * @param opset up to 17
     */
    public static OnnxModel raised(OnnxModel model, long opset) {
        return OpsetConversion.atLeast(model, opset);
    }

    /**
     * The model with the nodes of its own functions in the place of all calls, where they can be.
     */
    public static OnnxModel withoutFunctions(OnnxModel model) {
        return model.hasFunctions() ? pass(FUNCTIONS).run(model) : model;
    }

    private static Outcome inlineFunctions(OnnxModel model) {
        FunctionCalls.Inlined inlined = FunctionCalls.inline(model);
        return new Outcome(inlined.model(), inlined.calls());
    }

    /** The model after all passes; the one given stays as it is. */
    public static Repaired run(OnnxModel model) {
        return run(model, ALL);
    }

    /**
     * The model after these passes, in the given order, until none finds anything more. What a pass
     * made is kept only if the model is no larger for it than it came, or than it is with the nodes
     * of its functions in the place of their calls.
     */
    public static Repaired run(OnnxModel model, List<Pass> passes) {
        var changes = new LinkedHashMap<String, Integer>();
        OnnxModel current = model;
        long mostBytes = bytes(model);
        for (int round = 0; round < MOST_ROUNDS; round++) {
            int before = changes.values().stream().mapToInt(Integer::intValue).sum();
            for (Pass pass : passes) {
                Outcome outcome = pass.rewrite(current.copy());
                if (outcome.changes() > 0 && pass.name().equals(FUNCTIONS)) {
                    mostBytes = Math.max(mostBytes, bytes(outcome.model()));
                }
                if (outcome.changes() > 0 && bytes(outcome.model()) <= mostBytes) {
                    current = outcome.model();
                    changes.merge(pass.name(), outcome.changes(), Integer::sum);
                }
            }
            if (before == changes.values().stream().mapToInt(Integer::intValue).sum()) {
                break;
            }
        }
        return new Repaired(current, changes);
    }

    /** About as many bytes as the model's file has. */
    static long bytes(OnnxModel model) {
        return model.byteSize();
    }
}
