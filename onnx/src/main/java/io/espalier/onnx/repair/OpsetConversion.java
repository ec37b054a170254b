package io.espalier.onnx.repair;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.repair.Rewrite.Outcome;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * A newer version of the standard's operators, where it has one that the graph spells out. What
 * changed from version 11 to 17 is known here, by the standard's Changelog.md, and what changed
 * before in {@link OldOperators}; a model that calls anything else stays at its version.
 */
final class OpsetConversion {
    /** Operators that mean in version 17 what they mean in version 11. */
    private static final Set<String> UNCHANGED =
            Set.of(
                    ("Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool"
                         + " BitShift Cast Ceil Celu Clip Compress Concat Constant ConstantOfShape"
                         + " Conv ConvInteger ConvTranspose Cos Cosh CumSum DepthToSpace"
                         + " DequantizeLinear Det Div DynamicQuantizeLinear Einsum Elu Equal Erf"
                         + " Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND"
                         + " Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater"
                         + " GreaterOrEqual GridSample HardSigmoid HardSwish Identity"
                         + " InstanceNormalization IsInf IsNaN LRN LSTM LeakyRelu Less LessOrEqual"
                         + " Log LpNormalization LpPool MatMul MatMulInteger Max MaxPool MaxRoiPool"
                         + " MaxUnpool Mean MeanVarianceNormalization Min Mod Mul Neg"
                         + " NonMaxSuppression NonZero Not OneHot Or PRelu Pad Pow QLinearConv"
                         + " QLinearMatMul QuantizeLinear RNN Range Reciprocal ReduceL1 ReduceL2"
                         + " ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd"
                         + " ReduceSumSquare Relu Reshape Resize ReverseSequence Round"
                         + " ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size"
                         + " Slice Softplus Softsign SpaceToDepth Sqrt Sub Sum Tan Tanh"
                         + " ThresholdedRelu Tile TopK Transpose Trilu Unique Where Xor")
                            .split(" "));

    private OpsetConversion() {}

    /** Raises a model's version as far as a recognition needs, if it can be. */
    static Outcome raise(OnnxModel model) {
        OnnxModel readable = atLeast(model, OldOperators.NEWEST);
        OnnxModel raised = atLeast(readable, wanted(new Subject(readable)));
        return raised == readable ? new Outcome(model, 0) : new Outcome(raised, 1);
    }

    /** The model in operators of at least a version up to 17, or itself if it can't be. */
    static OnnxModel atLeast(OnnxModel model, long version) {
        long from = model.opset();
        var subject = new Subject(model);
        boolean possible =
                from >= OldOperators.OLDEST
                        && version > from
                        && !model.hasFunctions()
                        && model.graph().nodes().stream().allMatch(n -> isKnown(subject, n));
        if (!possible) {
            return model;
        }
        OnnxModel raised = model.withOpset("", version);
        for (OnnxNode node : raised.graph().nodes()) {
            if (node.domain().isEmpty()) {
                convert(raised.graph(), subject, node, from, version);
            }
        }
        raised.graph().removeUnused();
        return raised;
    }

    /** The oldest version that has all that is recognized in the graph. */
    private static long wanted(Subject subject) {
        long opset = subject.opset();
        if (opset < Recognition.LAYER_NORMALIZATION_SINCE && LayerNormalizations.areIn(subject)) {
            return Recognition.LAYER_NORMALIZATION_SINCE;
        }
        boolean hardSwish =
                opset < Recognition.HARD_SWISH_SINCE
                        && Recognition.finds(subject.graph(), Activations::hardSwish);
        return hardSwish ? Recognition.HARD_SWISH_SINCE : opset;
    }

    private static boolean isKnown(Subject subject, OnnxNode node) {
        if (!node.subgraphs().isEmpty()) {
            return false;
        }
        if (!node.domain().isEmpty()) {
            return true;
        }
        boolean isOld = subject.opset() < OldOperators.NEWEST && OldOperators.changed(node);
        if (isOld && !OldOperators.canBeConverted(subject, node)) {
            return false;
        }
        if (isOld || UNCHANGED.contains(node.op())) {
            return !node.is("BatchNormalization") || hasOneResult(node);
        }
        return switch (node.op()) {
            case "Squeeze", "Unsqueeze", "ReduceSum", "Split", "Dropout", "RoiAlign" -> true;
            case "BatchNormalization" -> hasOneResult(node);
            case "Softmax", "LogSoftmax", "Hardmax" -> true;
            default -> false;
        };
    }

    private static boolean isOverLast(Subject subject, OnnxNode node) {
        int rank = subject.rank(node.input(0));
        long axis = node.integer("axis", 1);
        return axis == -1 || (rank > 0 && axis == rank - 1);
    }

    /** Until version 12 they go over all dimensions from their axis on, as over the rows here. */
    private static void overRows(OnnxGraph graph, OnnxNode node) {
        String rows = graph.freshName(node.output() + "_rows");
        String shares = graph.freshName(node.output() + "_over_rows");
        String shape = graph.freshName(node.output() + "_shape");
        graph.replace(
                node,
                OnnxNode.of("Flatten", List.of(node.input(0)), rows)
                        .with("axis", node.integer("axis", 1)),
                node.with("axis", -1).withInput(0, rows).withOutputs(List.of(shares)),
                OnnxNode.of("Shape", List.of(node.input(0)), shape),
                OnnxNode.of("Reshape", List.of(shares, shape), node.output()));
    }

    private static boolean hasOneResult(OnnxNode node) {
        return node.outputs().stream().skip(1).allMatch(String::isEmpty);
    }

    private static void convert(
            OnnxGraph graph, Subject subject, OnnxNode node, long from, long to) {
        if (from < OldOperators.NEWEST && OldOperators.changed(node)) {
            OldOperators.convert(graph, node);
        }
        switch (node.op()) {
            case "Squeeze", "Unsqueeze", "ReduceSum" -> asInput(graph, node, "axes", from, to);
            case "Split" -> asInput(graph, node, "split", from, to);
            case "Softmax", "LogSoftmax", "Hardmax" -> {
                if (from < 13 && to >= 13 && isOverLast(subject, node)) {
                    graph.replace(node, node.with("axis", -1));
                } else if (from < 13 && to >= 13) {
                    overRows(graph, node);
                }
            }
            case "Dropout" -> {
                if (from < 12 && to >= 12) {
                    graph.replace(node, node.without("ratio"));
                }
            }
            case "RoiAlign" -> {
                if (from < 16 && to >= 16) {
                    graph.replace(
                            node, node.with("coordinate_transformation_mode", "output_half_pixel"));
                }
            }
            default -> {}
        }
    }

    /** Since version 13 some lists of integers are inputs. */
    private static void asInput(
            OnnxGraph graph, OnnxNode node, String attribute, long from, long to) {
        if (from >= 13 || to < 13 || !node.has(attribute)) {
            return;
        }
        List<Long> values = node.integers(attribute);
        String constant =
                graph.addConstant(
                        node.output() + "_" + attribute,
                        ConstantTensor.longs(
                                List.of((long) values.size()),
                                values.stream().mapToLong(Long::longValue).toArray()));
        var inputs = new ArrayList<>(node.inputs());
        inputs.add(constant);
        graph.replace(node, node.without(attribute).withInputs(inputs));
    }
}
