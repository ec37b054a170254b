package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A product with a constant matrix and the constant vector that is added to it: {@code y = xW + b}
 * with {@code W} [K, N], of a MatMul and its Add or of a Gemm.
 *
 * @param node the MatMul or Gemm
 * @param add the Add of the vector, where one follows a MatMul
 * @param floatBecause why it can't be quantized; empty if it can
 */
record MatMulSite(OnnxNode node, Optional<OnnxNode> add, Optional<String> floatBecause) {
    /** Smaller extents don't pay: quantizing the input costs more than the product saves. */
    private static final long LEAST_EXTENT = 16;

    /** Sums of more products of 8-bit integers may exceed 32 bits. */
    private static final long MOST_ROWS = Integer.MAX_VALUE / (255 * 127);

    /** The site that a node makes, if it is one. */
    static Optional<MatMulSite> at(OnnxGraph graph, OnnxNode node, MatMulSettings settings) {
        boolean product = node.is("MatMul") || (node.is("Gemm") && node.integer("transA", 0) == 0);
        ConstantTensor weight = product ? graph.constant(node.input(1)) : null;
        if (weight == null || weight.shape().size() != 2 || isConstant(graph, node.input(0))) {
            return Optional.empty();
        }
        if (node.is("Gemm") && hasOddVector(graph, node)) {
            return Optional.empty();
        }
        Optional<OnnxNode> add =
                node.is("MatMul") ? add(graph, node, columns(node, weight)) : Optional.empty();
        return Optional.of(
                new MatMulSite(node, add, Optional.ofNullable(refusal(node, weight, settings))));
    }

    private static boolean isConstant(OnnxGraph graph, String value) {
        return graph.constant(value) != null;
    }

    private static boolean hasOddVector(OnnxGraph graph, OnnxNode gemm) {
        if (gemm.input(2).isEmpty()) {
            return false;
        }
        ConstantTensor vector = graph.constant(gemm.input(2));
        ConstantTensor weight = graph.constant(gemm.input(1));
        return vector == null || weight == null || !isVector(vector, columns(gemm, weight));
    }

    /** Whether a constant adds one number to each of so many columns, whatever is before them. */
    static boolean isVector(ConstantTensor constant, long columns) {
        List<Long> shape = constant.shape();
        return constant.type() == ElementType.FLOAT
                && !shape.isEmpty()
                && shape.getLast() == columns
                && constant.elements() == columns;
    }

    private static @Nullable String refusal(
            OnnxNode node, ConstantTensor weight, MatMulSettings settings) {
        if (settings.keepsFloat(node.name())) {
            return "kept float as asked";
        }
        if (weight.type() != ElementType.FLOAT) {
            return "its weights are " + weight.type();
        }
        long rows = weight.elements() / Math.max(1, columns(node, weight));
        if (Math.min(rows, columns(node, weight)) < LEAST_EXTENT) {
            return "too small: [" + rows + ", " + columns(node, weight) + "]";
        }
        if (rows > MOST_ROWS) {
            return "sums of " + rows + " products may exceed 32 bits";
        }
        return null;
    }

    private static long columns(OnnxNode node, ConstantTensor weight) {
        return weight.shape().get(node.integer("transB", 0) == 0 ? 1 : 0);
    }

    private static Optional<OnnxNode> add(OnnxGraph graph, OnnxNode matMul, long columns) {
        OnnxNode reader = graph.onlyReader(matMul.output());
        if (reader == null || !reader.is("Add") || reader.input(0).equals(reader.input(1))) {
            return Optional.empty();
        }
        ConstantTensor vector = graph.constant(reader.input(vectorPlace(reader, matMul.output())));
        // More dimensions could be more than the product has, and then the result has them.
        return vector != null && isVector(vector, columns) && vector.shape().size() == 1
                ? Optional.of(reader)
                : Optional.empty();
    }

    private static int vectorPlace(OnnxNode add, String product) {
        return add.input(0).equals(product) ? 1 : 0;
    }

    /** The node's name. */
    String name() {
        return node.name();
    }

    boolean isQuantizable() {
        return floatBecause.isEmpty();
    }

    /** The value that is multiplied. */
    String input() {
        return node.input(0);
    }

    /** The value of {@code xW + b}. */
    String output() {
        return add.orElse(node).output();
    }

    /** The name of the constant that its matrix is. */
    String weightName() {
        return node.input(1);
    }

    /** What tells its matrix, as it is multiplied by, from others. */
    String matrixKey() {
        return "%s %d %s"
                .formatted(weightName(), node.integer("transB", 0), node.number("alpha", 1));
    }

    /** The matrix's rows K, which are the input's channels. */
    long rows(OnnxGraph graph) {
        return required(graph, weightName()).shape().get(node.integer("transB", 0) == 0 ? 0 : 1);
    }

    /** The matrix [K, N], in a new tensor. */
    Tensor weight(OnnxGraph graph) {
        ConstantTensor constant = required(graph, weightName());
        List<Long> shape = constant.shape();
        Tensor weight = Tensors.of(constant.toFloats(), shape.get(0), shape.get(1));
        if (node.integer("transB", 0) != 0) {
            weight = weight.t().contiguous();
        }
        float alpha = node.number("alpha", 1);
        return alpha == 1 ? weight : weight.mul(new Scalar(alpha));
    }

    /** The vector [N], if one is added. */
    Optional<float[]> bias(OnnxGraph graph) {
        return biasName()
                .map(name -> {
                    float[] bias = required(graph, name).toFloats();
                    float beta = node.number("beta", 1);
                    for (int n = 0; n < bias.length; n++) {
                        bias[n] *= beta;
                    }
                    return bias;
                });
    }

    private Optional<String> biasName() {
        if (node.is("Gemm")) {
            return Optional.of(node.input(2)).filter(name -> !name.isEmpty());
        }
        return add.map(sum -> sum.input(vectorPlace(sum, node.output())));
    }

    private static ConstantTensor required(OnnxGraph graph, String name) {
        ConstantTensor constant = graph.constant(name);
        if (constant == null) {
            throw new EspalierException("The graph has no constant '" + name + "'.");
        }
        return constant;
    }

    /** Puts another matrix [K, N] and another vector in the place of its own. */
    void set(OnnxGraph graph, Tensor matrix, float[] bias) {
        boolean transposed = node.integer("transB", 0) != 0;
        Tensor laid = transposed ? matrix.t().contiguous() : matrix.contiguous();
        String name =
                graph.addConstant(
                        weightName() + "_fitted",
                        ConstantTensor.floats(
                                List.of(laid.size(0), laid.size(1)), Tensors.floats(laid)));
        OnnxNode moved = node.withInput(1, name).without("alpha");
        graph.replace(node, moved);
        new MatMulSite(moved, add, floatBecause).setBias(graph, bias);
    }

    /** Puts another vector in the place of the one that is added, or adds one. */
    void setBias(OnnxGraph graph, float[] bias) {
        String name =
                graph.addConstant(
                        output() + "_bias",
                        ConstantTensor.floats(List.of((long) bias.length), bias));
        if (node.is("Gemm")) {
            List<String> inputs = List.of(node.input(0), node.input(1), name);
            graph.replace(node, node.withInputs(inputs).without("beta"));
        } else if (add.isPresent()) {
            OnnxNode sum = add.get();
            graph.replace(sum, sum.withInput(vectorPlace(sum, node.output()), name));
        } else {
            String product = graph.freshName(node.output() + "_product");
            graph.replace(
                    node,
                    node.withOutputs(List.of(product)),
                    OnnxNode.of("Add", List.of(product, name), node.output()));
        }
    }

    /** Its nodes. */
    List<OnnxNode> nodes() {
        return Stream.concat(Stream.of(node), add.stream()).toList();
    }
}
