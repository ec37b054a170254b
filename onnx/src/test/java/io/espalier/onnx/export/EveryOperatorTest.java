package io.espalier.onnx.export;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.graph.GraphBuilder;
import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphOperator;
import io.espalier.graph.Value;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

@DisplayName("An operator's file")
class EveryOperatorTest {
    private static final double SAME = 1e-5;

    /** A call of an operator. */
    record Sample(
            GraphOperator operator, int results, Map<String, ?> attributes, List<Tensor> operands) {
        @Override
        public String toString() {
            return operator + " " + attributes;
        }

        GraphModule graph() {
            var graph = new GraphBuilder();
            List<Value> inputs = new ArrayList<>();
            for (int i = 0; i < operands.size(); i++) {
                inputs.add(graph.input("x" + i));
            }
            List<Value> results =
                    graph.applyAll(
                            operator, this.results, attributes, inputs.toArray(Value[]::new));
            return graph.returning(results.toArray(Value[]::new));
        }
    }

    private static Sample sample(
            GraphOperator operator, Map<String, ?> attributes, Tensor... operands) {
        return new Sample(operator, operator.results().orElse(1), attributes, List.of(operands));
    }

    private static Sample several(
            GraphOperator operator, int results, Map<String, ?> attributes, Tensor... operands) {
        return new Sample(operator, results, attributes, List.of(operands));
    }

    private static Tensor x() {
        return Tensors.randn(2, 3, 4);
    }

    private static Tensor positive() {
        return Tensors.rand(2, 3, 4).add(new Scalar(0.1));
    }

    private static Tensor longs(long... values) {
        return Tensors.of(values, values.length);
    }

    static Stream<Sample> samples() {
        Libtorch.seed(2);
        return Stream.of(
                        products(),
                        elements(),
                        comparisons(),
                        activations(),
                        norms(),
                        windows(),
                        reductions(),
                        shapes(),
                        parts(),
                        others())
                .flatMap(List::stream);
    }

    private static List<Sample> products() {
        return List.of(
                sample(GraphOperator.LINEAR, Map.of(), x(), Tensors.randn(5, 4), Tensors.randn(5)),
                sample(GraphOperator.LINEAR, Map.of(), Tensors.randn(2, 4), Tensors.randn(5, 4)),
                sample(GraphOperator.EMBEDDING, Map.of(), Tensors.randn(5, 3), longs(4, 0, 1)),
                sample(GraphOperator.MATMUL, Map.of(), x(), Tensors.randn(4, 2)),
                sample(GraphOperator.BMM, Map.of(), x(), Tensors.randn(2, 4, 2)),
                sample(GraphOperator.SCALED_DOT_PRODUCT_ATTENTION, Map.of(), x(), x(), x()),
                sample(
                        GraphOperator.SCALED_DOT_PRODUCT_ATTENTION,
                        Map.of("is_causal", true),
                        x(),
                        Tensors.randn(2, 5, 4),
                        Tensors.randn(2, 5, 4)),
                sample(
                        GraphOperator.SCALED_DOT_PRODUCT_ATTENTION,
                        Map.of(),
                        x(),
                        x(),
                        x(),
                        Tensors.randn(3, 3)),
                sample(
                        GraphOperator.CONV1D,
                        Map.of("padding", List.of(1L)),
                        x(),
                        Tensors.randn(2, 3, 3)),
                sample(
                        GraphOperator.CONV2D,
                        Map.of("stride", List.of(2L, 1L)),
                        Tensors.randn(1, 4, 5, 5),
                        Tensors.randn(2, 4, 3, 2),
                        Tensors.randn(2)),
                sample(
                        GraphOperator.CONV3D,
                        Map.of(),
                        Tensors.randn(1, 2, 3, 3, 3),
                        Tensors.randn(2, 2, 2, 2, 2)),
                sample(GraphOperator.CONV_TRANSPOSE1D, Map.of(), x(), Tensors.randn(3, 2, 2)),
                sample(
                        GraphOperator.CONV_TRANSPOSE2D,
                        Map.of("stride", List.of(2L, 2L), "output_padding", List.of(1L, 0L)),
                        Tensors.randn(1, 4, 3, 3),
                        Tensors.randn(4, 2, 3, 2)),
                sample(
                        GraphOperator.CONV_TRANSPOSE3D,
                        Map.of(),
                        Tensors.randn(1, 2, 3, 3, 3),
                        Tensors.randn(2, 2, 2, 2, 2)));
    }

    private static List<Sample> elements() {
        List<Sample> all = new ArrayList<>();
        all.add(sample(GraphOperator.ADDCMUL, Map.of(), Tensors.randn(3, 1), x(), x()));
        for (GraphOperator operator :
                List.of(
                        GraphOperator.ADD,
                        GraphOperator.SUB,
                        GraphOperator.MUL,
                        GraphOperator.DIV,
                        GraphOperator.MAXIMUM,
                        GraphOperator.MINIMUM)) {
            all.add(sample(operator, Map.of(), x(), Tensors.randn(3, 1)));
            all.add(sample(operator, Map.of(), longs(4, -7, 2), longs(3, 2, 5)));
            all.add(sample(operator, Map.of(), longs(4, -7, 2), Tensors.randn(2, 3)));
        }
        for (GraphOperator operator :
                List.of(
                        GraphOperator.ADD_SCALAR,
                        GraphOperator.SUB_SCALAR,
                        GraphOperator.MUL_SCALAR,
                        GraphOperator.DIV_SCALAR)) {
            all.add(sample(operator, Map.of("other", 2.5), x()));
            all.add(sample(operator, Map.of("other", 2), longs(3, -5)));
        }
        for (GraphOperator operator :
                List.of(
                        GraphOperator.NEG,
                        GraphOperator.ABS,
                        GraphOperator.EXP,
                        GraphOperator.SIN,
                        GraphOperator.COS,
                        GraphOperator.ERF,
                        GraphOperator.FLOOR,
                        GraphOperator.ROUND)) {
            all.add(sample(operator, Map.of(), x()));
        }
        for (GraphOperator operator :
                List.of(
                        GraphOperator.SQRT,
                        GraphOperator.RSQRT,
                        GraphOperator.RECIPROCAL,
                        GraphOperator.LOG)) {
            all.add(sample(operator, Map.of(), positive()));
            all.add(sample(operator, Map.of(), longs(3, 5)));
        }
        all.add(sample(GraphOperator.POW, Map.of(), positive(), x()));
        all.add(sample(GraphOperator.POW_SCALAR, Map.of("exponent", 3), x()));
        all.add(sample(GraphOperator.CAST, Map.of("dtype", ScalarType.Long), x()));
        all.add(sample(GraphOperator.CAST, Map.of("dtype", ScalarType.Float), longs(0, 2)));
        all.add(sample(GraphOperator.CAST, Map.of("dtype", ScalarType.Bool), longs(0, 2)));
        all.add(sample(GraphOperator.CLAMP, Map.of("min", -0.5, "max", 0.25), x()));
        all.add(sample(GraphOperator.CLAMP, Map.of("max", 0.25), x()));
        return all;
    }

    private static List<Sample> comparisons() {
        List<Sample> all = new ArrayList<>();
        Tensor condition = longs(1, 0, 1).to(ScalarType.Bool);
        for (GraphOperator operator :
                List.of(
                        GraphOperator.EQ,
                        GraphOperator.NE,
                        GraphOperator.LT,
                        GraphOperator.LE,
                        GraphOperator.GT,
                        GraphOperator.GE)) {
            all.add(sample(operator, Map.of(), longs(1, 2, 3), longs(3, 2, 1)));
            all.add(sample(operator, Map.of(), x(), x()));
            all.add(sample(operator, Map.of(), longs(1, 2, 3, 0), x()));
            var scalar = GraphOperator.valueOf(operator.name() + "_SCALAR");
            all.add(sample(scalar, Map.of("other", 2), longs(1, 2, 3)));
            all.add(sample(scalar, Map.of("other", 1.5), longs(1, 2, 3)));
            all.add(sample(scalar, Map.of("other", 0.1), x()));
        }
        all.add(sample(GraphOperator.EQ, Map.of(), condition, condition));
        all.add(sample(GraphOperator.WHERE, Map.of(), condition, longs(1, 2, 3), longs(4, 5, 6)));
        all.add(
                sample(
                        GraphOperator.WHERE,
                        Map.of(),
                        condition,
                        Tensors.randn(2, 3),
                        Tensors.randn(3)));
        all.add(
                sample(
                        GraphOperator.MASKED_FILL,
                        Map.of("value", Double.NEGATIVE_INFINITY),
                        Tensors.randn(2, 3),
                        condition));
        return all;
    }

    private static List<Sample> activations() {
        List<Sample> all = new ArrayList<>();
        Tensor wide = Tensors.randn(4, 6).mul(new Scalar(5));
        for (GraphOperator operator :
                List.of(
                        GraphOperator.RELU,
                        GraphOperator.RELU6,
                        GraphOperator.LEAKY_RELU,
                        GraphOperator.ELU,
                        GraphOperator.GELU,
                        GraphOperator.SILU,
                        GraphOperator.HARDSWISH,
                        GraphOperator.HARDSIGMOID,
                        GraphOperator.SIGMOID,
                        GraphOperator.TANH,
                        GraphOperator.SOFTPLUS,
                        GraphOperator.MISH,
                        GraphOperator.HARDTANH,
                        GraphOperator.SELU,
                        GraphOperator.LOG_SIGMOID,
                        GraphOperator.GLU)) {
            all.add(sample(operator, Map.of(), wide));
        }
        all.add(sample(GraphOperator.GELU, Map.of("approximate", "tanh"), wide));
        all.add(sample(GraphOperator.SOFTPLUS, Map.of("beta", 2.0, "threshold", 1.0), wide));
        all.add(sample(GraphOperator.PRELU, Map.of(), x(), Tensors.randn(3)));
        all.add(sample(GraphOperator.SOFTMAX, Map.of("dim", 1), x()));
        all.add(sample(GraphOperator.LOG_SOFTMAX, Map.of("dim", -1), x()));
        Map<String, ?> range = Map.of("scale", 0.05, "zero_point", 100, "dtype", ScalarType.QUInt8);
        all.add(sample(GraphOperator.QUANTIZE, range, x()));
        return all;
    }

    private static List<Sample> norms() {
        return List.of(
                sample(
                        GraphOperator.BATCH_NORM,
                        Map.of(),
                        x(),
                        Tensors.randn(3),
                        Tensors.randn(3),
                        Tensors.randn(3),
                        Tensors.rand(3)),
                sample(
                        GraphOperator.BATCH_NORM,
                        Map.of("training", true),
                        x(),
                        Tensors.randn(3),
                        Tensors.randn(3)),
                sample(
                        GraphOperator.LAYER_NORM,
                        Map.of("normalized_shape", List.of(4L)),
                        x(),
                        Tensors.randn(4),
                        Tensors.randn(4)),
                sample(
                        GraphOperator.GROUP_NORM,
                        Map.of("num_groups", 2),
                        Tensors.randn(2, 4, 3),
                        Tensors.randn(4),
                        Tensors.randn(4)),
                sample(
                        GraphOperator.RMS_NORM,
                        Map.of("normalized_shape", List.of(4L), "eps", 1e-3),
                        x(),
                        Tensors.randn(4)),
                sample(GraphOperator.RMS_NORM, Map.of("normalized_shape", List.of(3L, 4L)), x()),
                sample(GraphOperator.CUMSUM, Map.of("dim", 1), x()));
    }

    private static List<Sample> windows() {
        Tensor picture = Tensors.randn(2, 3, 6, 5);
        List<Long> two = List.of(2L, 2L);
        return List.of(
                sample(GraphOperator.MAX_POOL1D, Map.of("kernel_size", List.of(2L)), x()),
                sample(
                        GraphOperator.MAX_POOL2D,
                        Map.of("kernel_size", two, "stride", List.of(1L, 2L), "dilation", two),
                        picture),
                sample(GraphOperator.AVG_POOL1D, Map.of("kernel_size", List.of(3L)), x()),
                sample(
                        GraphOperator.AVG_POOL2D,
                        Map.of("kernel_size", two, "padding", List.of(1L, 1L)),
                        picture),
                sample(GraphOperator.ADAPTIVE_AVG_POOL1D, Map.of("output_size", List.of(3L)), x()),
                sample(GraphOperator.ADAPTIVE_AVG_POOL2D, Map.of("output_size", two), picture),
                sample(GraphOperator.UPSAMPLE_NEAREST1D, Map.of("output_size", List.of(7L)), x()),
                sample(
                        GraphOperator.UPSAMPLE_NEAREST2D,
                        Map.of("scale_factors", List.of(2.0, 1.5)),
                        picture),
                sample(
                        GraphOperator.UPSAMPLE_LINEAR1D,
                        Map.of("output_size", List.of(7L), "align_corners", true),
                        x()),
                sample(
                        GraphOperator.UPSAMPLE_BILINEAR2D,
                        Map.of("output_size", List.of(4L, 9L), "align_corners", false),
                        picture),
                sample(
                        GraphOperator.UPSAMPLE_BICUBIC2D,
                        Map.of("output_size", List.of(9L, 4L), "align_corners", false),
                        picture),
                sample(GraphOperator.PAD, Map.of("pad", List.of(1L, 2L), "value", 0.5), x()),
                sample(
                        GraphOperator.PAD,
                        Map.of("pad", List.of(1L, 2L, 3L, 0L), "mode", "reflect"),
                        picture),
                sample(
                        GraphOperator.PAD,
                        Map.of("pad", List.of(1L, 2L, 3L, 0L), "mode", "replicate"),
                        picture),
                sample(
                        GraphOperator.PAD,
                        Map.of("pad", List.of(1L, 2L, 3L, 0L), "mode", "circular"),
                        picture),
                sample(GraphOperator.PAD, Map.of("pad", List.of(-1L, 2L)), x()));
    }

    private static List<Sample> reductions() {
        List<Sample> all = new ArrayList<>();
        for (GraphOperator operator :
                List.of(
                        GraphOperator.MEAN,
                        GraphOperator.SUM,
                        GraphOperator.AMAX,
                        GraphOperator.AMIN,
                        GraphOperator.LOGSUMEXP,
                        GraphOperator.VAR,
                        GraphOperator.STD)) {
            all.add(sample(operator, Map.of("dim", List.of(-1L)), x()));
            all.add(sample(operator, Map.of("dim", List.of(0L, 2L), "keepdim", true), x()));
        }
        all.add(sample(GraphOperator.SUM, Map.of("dim", List.of(0L)), longs(3, 4)));
        all.add(sample(GraphOperator.VAR, Map.of("dim", List.of(1L), "correction", 0.0), x()));
        for (double order : new double[] {0, 1, 2, 3, Double.POSITIVE_INFINITY}) {
            all.add(sample(GraphOperator.NORM, Map.of("ord", order, "dim", List.of(1L)), x()));
        }
        all.add(sample(GraphOperator.NORM, Map.of(), x()));
        for (GraphOperator operator :
                List.of(
                        GraphOperator.MEAN_ALL,
                        GraphOperator.SUM_ALL,
                        GraphOperator.MAX_ALL,
                        GraphOperator.MIN_ALL)) {
            all.add(sample(operator, Map.of(), x()));
        }
        for (GraphOperator operator :
                List.of(
                        GraphOperator.ARGMAX,
                        GraphOperator.ARGMIN,
                        GraphOperator.MAX,
                        GraphOperator.MIN)) {
            all.add(sample(operator, Map.of("dim", 1), x()));
            all.add(sample(operator, Map.of("dim", -1, "keepdim", true), x()));
        }
        all.add(sample(GraphOperator.TOPK, Map.of("k", 2), x()));
        all.add(sample(GraphOperator.TOPK, Map.of("k", 2, "largest", false, "dim", 1), x()));
        all.add(sample(GraphOperator.SORT, Map.of(), x()));
        all.add(sample(GraphOperator.SORT, Map.of("descending", true, "dim", 0), x()));
        return all;
    }

    private static List<Sample> shapes() {
        return List.of(
                sample(GraphOperator.RESHAPE, Map.of("shape", List.of(4L, -1L)), x()),
                sample(
                        GraphOperator.RESHAPE,
                        Map.of("shape", List.of(0L, 3L)),
                        Tensors.randn(3, 0)),
                sample(GraphOperator.FLATTEN, Map.of(), x()),
                sample(GraphOperator.FLATTEN, Map.of("start_dim", 1), x()),
                sample(GraphOperator.FLATTEN, Map.of("end_dim", 1), x()),
                sample(GraphOperator.TRANSPOSE, Map.of("dim0", 0, "dim1", -1), x()),
                sample(GraphOperator.PERMUTE, Map.of("dims", List.of(2L, 0L, -2L)), x()),
                sample(GraphOperator.UNSQUEEZE, Map.of("dim", -1), x()),
                sample(GraphOperator.SQUEEZE, Map.of("dim", 1), Tensors.randn(2, 1, 3)),
                sample(GraphOperator.SQUEEZE, Map.of("dim", 0), Tensors.randn(2, 1, 3)),
                sample(
                        GraphOperator.UNFLATTEN,
                        Map.of("dim", 1, "sizes", List.of(3L, -1L)),
                        Tensors.randn(2, 6, 2)),
                sample(
                        GraphOperator.EXPAND,
                        Map.of("size", List.of(4L, -1L, 3L)),
                        Tensors.randn(2, 1)),
                sample(GraphOperator.CONTIGUOUS, Map.of(), x()),
                sample(GraphOperator.REPEAT, Map.of("repeats", List.of(2L, 1L, 3L, 1L)), x()),
                sample(GraphOperator.FLIP, Map.of("dims", List.of(0L, 2L)), x()),
                sample(
                        GraphOperator.ROLL,
                        Map.of("shifts", List.of(1L, -2L), "dims", List.of(1L, 2L)),
                        x()),
                sample(GraphOperator.ROLL, Map.of("shifts", List.of(5L)), x()),
                sample(
                        GraphOperator.PIXEL_SHUFFLE,
                        Map.of("upscale_factor", 2),
                        Tensors.randn(1, 8, 2, 3)),
                sample(GraphOperator.CAT, Map.of("dim", 1), x(), Tensors.randn(2, 1, 4)),
                sample(GraphOperator.CAT, Map.of("dim", -1), longs(1, 2), Tensors.randn(3)),
                sample(GraphOperator.STACK, Map.of("dim", -1), x(), x()));
    }

    private static List<Sample> parts() {
        return List.of(
                sample(GraphOperator.NARROW, Map.of("dim", 1, "start", 1, "length", 2), x()),
                sample(GraphOperator.NARROW, Map.of("dim", 1, "start", -2, "length", 2), x()),
                several(GraphOperator.SPLIT, 2, Map.of("split_size", 3, "dim", 2), x()),
                several(GraphOperator.CHUNK, 2, Map.of("chunks", 2, "dim", 1), x()),
                several(
                        GraphOperator.SPLIT_WITH_SIZES,
                        2,
                        Map.of("split_sizes", List.of(1L, 2L), "dim", 1),
                        x()),
                several(GraphOperator.UNBIND, 3, Map.of("dim", 1), x()),
                sample(GraphOperator.SELECT, Map.of("dim", 1, "index", -1), x()),
                sample(GraphOperator.SLICE, Map.of("dim", 2, "start", -3, "step", 2), x()),
                sample(GraphOperator.SLICE, Map.of("dim", 1, "end", -1), x()),
                sample(GraphOperator.INDEX_SELECT, Map.of("dim", 1), x(), longs(2, 0, 2)),
                sample(
                        GraphOperator.GATHER,
                        Map.of("dim", 2),
                        x(),
                        longs(3, 0, 1, 1, 2, 0).reshape(1, 3, 2)),
                sample(GraphOperator.TRIL, Map.of("diagonal", 1), x()),
                sample(GraphOperator.TRIU, Map.of(), x()));
    }

    /** What graphs call that were made of files. */
    private static List<Sample> others() {
        List<Sample> all = new ArrayList<>();
        Tensor small = Tensors.rand(2, 3).mul(new Scalar(0.9));
        for (GraphOperator operator :
                List.of(
                        GraphOperator.TAN,
                        GraphOperator.ASIN,
                        GraphOperator.ACOS,
                        GraphOperator.ATAN,
                        GraphOperator.SINH,
                        GraphOperator.COSH,
                        GraphOperator.ASINH,
                        GraphOperator.ATANH,
                        GraphOperator.CELU,
                        GraphOperator.CEIL,
                        GraphOperator.SIGN)) {
            all.add(sample(operator, Map.of(), small));
        }
        all.add(sample(GraphOperator.ACOSH, Map.of(), small.add(new Scalar(1.0))));
        Tensor odd = Tensors.of(Float.NaN, 1, Float.POSITIVE_INFINITY, 0, -2);
        for (GraphOperator operator :
                List.of(GraphOperator.ISNAN, GraphOperator.ISINF, GraphOperator.LOGICAL_NOT)) {
            all.add(sample(operator, Map.of(), odd));
        }
        for (GraphOperator operator :
                List.of(
                        GraphOperator.LOGICAL_AND,
                        GraphOperator.LOGICAL_OR,
                        GraphOperator.LOGICAL_XOR)) {
            all.add(sample(operator, Map.of(), longs(0, 1, 2), Tensors.of(0f, 0f, 1.5f)));
        }
        Tensor a = longs(7, -7, 7, -7, 6);
        Tensor b = longs(3, 3, -3, -3, 3);
        for (String mode : List.of("trunc", "floor")) {
            Map<String, ?> rounding = Map.of("rounding_mode", mode);
            all.add(sample(GraphOperator.DIV_ROUNDED, rounding, a, b));
            all.add(sample(GraphOperator.DIV_ROUNDED, rounding, x(), positive()));
        }
        for (GraphOperator operator : List.of(GraphOperator.REMAINDER, GraphOperator.FMOD)) {
            all.add(sample(operator, Map.of(), a, b));
            all.add(sample(operator, Map.of(), x(), x()));
        }
        all.add(sample(GraphOperator.THRESHOLD, Map.of("threshold", 0.1, "value", -1.0), x()));
        all.add(
                sample(
                        GraphOperator.EINSUM,
                        Map.of("equation", "bij,bjk->bik"),
                        x(),
                        Tensors.randn(2, 4, 5)));
        Tensor volume = Tensors.randn(1, 2, 4, 4, 4);
        List<Long> cube = List.of(2L, 2L, 2L);
        all.add(sample(GraphOperator.MAX_POOL3D, Map.of("kernel_size", cube), volume));
        all.add(sample(GraphOperator.AVG_POOL3D, Map.of("kernel_size", cube), volume));
        Map<String, ?> doubled = Map.of("scale_factors", List.of(2.0, 2.0, 2.0));
        all.add(sample(GraphOperator.UPSAMPLE_NEAREST3D, doubled, volume));
        all.add(
                sample(
                        GraphOperator.UPSAMPLE_TRILINEAR3D,
                        Map.of("output_size", List.of(5L, 3L, 6L), "align_corners", false),
                        volume));
        for (long mode = 0; mode < 3; mode++) {
            all.add(
                    sample(
                            GraphOperator.GRID_SAMPLER,
                            Map.of(
                                    "interpolation_mode",
                                    mode,
                                    "padding_mode",
                                    mode,
                                    "align_corners",
                                    mode == 1),
                            Tensors.randn(1, 2, 5, 5),
                            Tensors.randn(1, 3, 4, 2).mul(new Scalar(0.6))));
        }
        all.add(sample(GraphOperator.PROD, Map.of("dim", 1), x()));
        Tensor places = longs(0, 2, 1, 0).reshape(2, 2, 1);
        all.add(sample(GraphOperator.SCATTER, Map.of("dim", 1), x(), places, x()));
        all.add(
                sample(
                        GraphOperator.SCATTER_REDUCE,
                        Map.of("dim", 1, "reduce", "sum"),
                        x(),
                        places,
                        x()));
        all.add(sample(GraphOperator.NONZERO, Map.of(), longs(0, 3, 0, 4).reshape(2, 2)));
        all.add(sample(GraphOperator.SHAPE, Map.of(), x()));
        all.add(sample(GraphOperator.RESHAPE_TO, Map.of(), x(), longs(4, -1)));
        all.add(
                sample(
                        GraphOperator.PIXEL_UNSHUFFLE,
                        Map.of("downscale_factor", 2),
                        Tensors.randn(2, 3, 4, 6)));
        all.add(
                sample(
                        GraphOperator.FULL,
                        Map.of("size", List.of(2L, 3L), "fill_value", 1.5, "dtype", "Float")));
        all.add(sample(GraphOperator.ARANGE, Map.of("start", 2, "end", 9, "step", 3)));
        return all;
    }

    @BeforeEach
    void seed() {
        Libtorch.seed(1);
    }

    @ParameterizedTest
    @DisplayName(
            "gives in ONNX Runtime what the operator gives, at the oldest opset and the newest")
    @MethodSource("samples")
    void agrees(Sample sample) {
        GraphModule graph = sample.graph();
        Tensor[] operands = sample.operands.toArray(Tensor[]::new);

        Exported.of(graph, operands).assertAgree(SAME, operands);
        new Exported(
                        graph,
                        OnnxExport.of(
                                graph, sample.operands, o -> o.opset(OnnxExport.NEWEST_OPSET)))
                .assertAgree(SAME, operands);
    }

    @Test
    @DisplayName("is tried for each operator that a float graph may call")
    void complete() {
        Set<GraphOperator> tried = EnumSet.noneOf(GraphOperator.class);
        samples().forEach(sample -> tried.add(sample.operator));
        Set<GraphOperator> others = EnumSet.complementOf(EnumSet.copyOf(tried));

        others.removeIf(operator -> operator.name().contains("QUANTIZE"));

        assertEquals(Set.of(), others);
    }
}
