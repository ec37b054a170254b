package io.espalier.graph;

import static io.espalier.graph.AttributeType.BOOLEAN;
import static io.espalier.graph.AttributeType.DOUBLE;
import static io.espalier.graph.AttributeType.DTYPE;
import static io.espalier.graph.AttributeType.LONG;
import static io.espalier.graph.AttributeType.LONGS;
import static io.espalier.graph.AttributeType.TEXT;
import static io.espalier.graph.ChannelEffect.MIXES;
import static io.espalier.graph.ChannelEffect.MOVES;
import static io.espalier.graph.ChannelEffect.NORMALIZES;
import static io.espalier.graph.ChannelEffect.REDUCES;
import static io.espalier.graph.ChannelEffect.WITHIN;
import static io.espalier.graph.OperatorDefinition.ANY;
import static io.espalier.graph.OperatorDefinition.BIAS;
import static io.espalier.graph.OperatorDefinition.SCALE;
import static io.espalier.graph.OperatorDefinition.WEIGHT;
import static io.espalier.graph.OperatorDefinition.X;
import static io.espalier.graph.OperatorDefinition.aten;
import static io.espalier.graph.OperatorDefinition.averagePool;
import static io.espalier.graph.OperatorDefinition.binary;
import static io.espalier.graph.OperatorDefinition.convolution;
import static io.espalier.graph.OperatorDefinition.deviation;
import static io.espalier.graph.OperatorDefinition.extreme;
import static io.espalier.graph.OperatorDefinition.fixed;
import static io.espalier.graph.OperatorDefinition.flag;
import static io.espalier.graph.OperatorDefinition.integer;
import static io.espalier.graph.OperatorDefinition.interpolation;
import static io.espalier.graph.OperatorDefinition.left;
import static io.espalier.graph.OperatorDefinition.list;
import static io.espalier.graph.OperatorDefinition.maxPool;
import static io.espalier.graph.OperatorDefinition.move;
import static io.espalier.graph.OperatorDefinition.nearest;
import static io.espalier.graph.OperatorDefinition.number;
import static io.espalier.graph.OperatorDefinition.operand;
import static io.espalier.graph.OperatorDefinition.optional;
import static io.espalier.graph.OperatorDefinition.quantized;
import static io.espalier.graph.OperatorDefinition.reduction;
import static io.espalier.graph.OperatorDefinition.required;
import static io.espalier.graph.OperatorDefinition.text;
import static io.espalier.graph.OperatorDefinition.transposedConvolution;
import static io.espalier.graph.OperatorDefinition.view;
import static io.espalier.graph.OperatorDefinition.withNumber;

import io.espalier.graph.Argument.Arity;
import io.espalier.graph.Argument.Attribute;
import io.espalier.graph.Argument.Operand;
import io.espalier.tensor.EspalierException;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Collectors;

/**
 * The operators that a {@link Graph} may call: one row each says what it takes, what it gives, and
 * what it does to its operands. {@code io.espalier.nn.Functional} records these.
 *
 * <p>Attributes are in the order of libtorch's schema and have PyTorch's names.
 */
@SuppressWarnings("ImmutableEnumChecker") // definitions are records of immutable parts
public enum GraphOperator {
    /** {@code x Wᵀ + b}. */
    LINEAR(aten("linear").does(MIXES).takes(X, WEIGHT, BIAS)),
    /** Rows of the weight at indices. */
    EMBEDDING(
            aten("embedding")
                    .does(MIXES)
                    .takes(
                            WEIGHT,
                            operand("indices"),
                            integer("padding_idx", -1),
                            fixed(false),
                            fixed(false))),
    /** The matrix product of the last two dimensions. */
    MATMUL(aten("matmul").does(MIXES).takes(operand("a"), operand("b"))),
    /** The matrix products of a batch. */
    BMM(aten("bmm").does(MIXES).takes(operand("a"), operand("b"))),
    /** Products summed over the indices that an equation leaves out of its result. */
    EINSUM(aten("einsum").does(MIXES).takes(required(TEXT, "equation"), list("tensors"))),
    /** {@code softmax(Q Kᵀ / √d + mask) V}. */
    SCALED_DOT_PRODUCT_ATTENTION(
            aten("scaled_dot_product_attention")
                    .does(MIXES)
                    .takes(
                            operand("query"),
                            operand("key"),
                            operand("value"),
                            optional("attn_mask"),
                            number("dropout_p", 0),
                            flag("is_causal", false))),
    /** Over [N, C, L]. */
    CONV1D(convolution(1)),
    /** Over [N, C, H, W]. */
    CONV2D(convolution(2)),
    /** Over [N, C, D, H, W]. */
    CONV3D(convolution(3)),
    /** Transposed, over [N, C, L]. */
    CONV_TRANSPOSE1D(transposedConvolution(1, "")),
    /** Transposed, over [N, C, H, W]. */
    CONV_TRANSPOSE2D(transposedConvolution(2, ".input")),
    /** Transposed, over [N, C, D, H, W]. */
    CONV_TRANSPOSE3D(transposedConvolution(3, ".input")),

    /** The sum by elements. */
    ADD(binary("add.Tensor")),
    /** The difference by elements. */
    SUB(binary("sub.Tensor")),
    /** The product by elements. */
    MUL(binary("mul.Tensor")),
    /** The quotient by elements. */
    DIV(binary("div.Tensor")),
    /** A tensor and the product by elements of two others. */
    ADDCMUL(aten("addcmul").takes(X, operand("a"), operand("b"))),
    /** A number added to each element. */
    ADD_SCALAR(withNumber("add.Scalar")),
    /** Each element times a number. */
    MUL_SCALAR(withNumber("mul.Scalar")),
    /** A number taken off each element. */
    SUB_SCALAR(withNumber("sub.Scalar")),
    /** Each element by a number. */
    DIV_SCALAR(withNumber("div.Scalar")),
    /** The quotient by elements, rounded as said: {@code trunc} or {@code floor}. */
    DIV_ROUNDED(
            aten("div.Tensor_mode").takes(operand("a"), operand("b"), left(TEXT, "rounding_mode"))),
    /** What is left of a division, with the divisor's sign. */
    REMAINDER(binary("remainder.Tensor")),
    /** What is left of a division, with the dividend's sign. */
    FMOD(binary("fmod.Tensor")),
    /** Powers by elements. */
    POW(binary("pow.Tensor_Tensor")),
    /** Each element to a power. */
    POW_SCALAR(aten("pow.Tensor_Scalar").takes(X, required(DOUBLE, "exponent"))),
    /** The larger by elements. */
    MAXIMUM(binary("maximum")),
    /** The smaller by elements. */
    MINIMUM(binary("minimum")),
    /** −x. */
    NEG(aten("neg").takes(X)),
    /** |x|. */
    ABS(aten("abs").takes(X)),
    /** √x. */
    SQRT(aten("sqrt").takes(X)),
    /** 1 / √x. */
    RSQRT(aten("rsqrt").takes(X)),
    /** 1 / x. */
    RECIPROCAL(aten("reciprocal").takes(X)),
    /** exp(x). */
    EXP(aten("exp").takes(X)),
    /** The natural logarithm. */
    LOG(aten("log").takes(X)),
    /** The sine. */
    SIN(aten("sin").takes(X)),
    /** The cosine. */
    COS(aten("cos").takes(X)),
    /** The tangent. */
    TAN(aten("tan").takes(X)),
    /** The angle of a sine. */
    ASIN(aten("asin").takes(X)),
    /** The angle of a cosine. */
    ACOS(aten("acos").takes(X)),
    /** The angle of a tangent. */
    ATAN(aten("atan").takes(X)),
    /** The hyperbolic sine. */
    SINH(aten("sinh").takes(X)),
    /** The hyperbolic cosine. */
    COSH(aten("cosh").takes(X)),
    /** Where the hyperbolic sine is x. */
    ASINH(aten("asinh").takes(X)),
    /** Where the hyperbolic cosine is x. */
    ACOSH(aten("acosh").takes(X)),
    /** Where the hyperbolic tangent is x. */
    ATANH(aten("atanh").takes(X)),
    /** The error function. */
    ERF(aten("erf").takes(X)),
    /** The largest integer that is not above x. */
    FLOOR(aten("floor").takes(X)),
    /** The smallest integer that is not below x. */
    CEIL(aten("ceil").takes(X)),
    /** −1, 0 or 1. */
    SIGN(aten("sign").takes(X)),
    /** The nearest integer; halves to the even one. */
    ROUND(aten("round").takes(X)),
    /** The elements as numbers of another type. */
    CAST(aten("to.dtype").takes(X, required(DTYPE, "dtype"))),
    /** One operand's elements where a condition holds, else the other's. */
    WHERE(aten("where.self").takes(operand("condition"), operand("a"), operand("b"))),
    /** A number where a mask is true. */
    MASKED_FILL(aten("masked_fill.Scalar").takes(X, operand("mask"), required(DOUBLE, "value"))),
    /** Whether an element is equal to the other operand's. */
    EQ(binary("eq.Tensor")),
    /** Whether an element is equal to a number. */
    EQ_SCALAR(withNumber("eq.Scalar")),
    /** Whether an element differs from the other operand's. */
    NE(binary("ne.Tensor")),
    /** Whether an element differs from a number. */
    NE_SCALAR(withNumber("ne.Scalar")),
    /** Whether an element is below the other operand's. */
    LT(binary("lt.Tensor")),
    /** Whether an element is below a number. */
    LT_SCALAR(withNumber("lt.Scalar")),
    /** Whether an element is at most the other operand's. */
    LE(binary("le.Tensor")),
    /** Whether an element is at most a number. */
    LE_SCALAR(withNumber("le.Scalar")),
    /** Whether an element is above the other operand's. */
    GT(binary("gt.Tensor")),
    /** Whether an element is above a number. */
    GT_SCALAR(withNumber("gt.Scalar")),
    /** Whether an element is at least the other operand's. */
    GE(binary("ge.Tensor")),
    /** Whether an element is at least a number. */
    GE_SCALAR(withNumber("ge.Scalar")),
    /** Whether an element is not a number. */
    ISNAN(aten("isnan").takes(X)),
    /** Whether an element is infinite. */
    ISINF(aten("isinf").takes(X)),
    /** Whether an element is zero. */
    LOGICAL_NOT(aten("logical_not").takes(X)),
    /** Whether both elements differ from zero. */
    LOGICAL_AND(binary("logical_and")),
    /** Whether one of two elements differs from zero. */
    LOGICAL_OR(binary("logical_or")),
    /** Whether just one of two elements differs from zero. */
    LOGICAL_XOR(binary("logical_xor")),
    /** The values cut off at both ends. */
    CLAMP(aten("clamp").takes(X, left(DOUBLE, "min"), left(DOUBLE, "max"))),
    /** max(x, 0). */
    RELU(aten("relu").takes(X)),
    /** min(max(x, 0), 6). */
    RELU6(aten("relu6").takes(X)),
    /** x, or a share of it where it is negative. */
    LEAKY_RELU(aten("leaky_relu").takes(X, number("negative_slope", 0.01))),
    /** x, or a learned share of it where it is negative. */
    PRELU(aten("prelu").takes(X, WEIGHT)),
    /** x, or {@code alpha · (exp(x) − 1)} where it is negative. */
    ELU(aten("elu").takes(X, number("alpha", 1))),
    /** x, or {@code alpha · (exp(x / alpha) − 1)} where it is negative. */
    CELU(aten("celu").takes(X, number("alpha", 1))),
    /** x where it is above a number, else another number. */
    THRESHOLD(aten("threshold").takes(X, required(DOUBLE, "threshold"), required(DOUBLE, "value"))),
    /** x · Φ(x). */
    GELU(aten("gelu").takes(X, text("approximate", "none"))),
    /** x · sigmoid(x). */
    SILU(aten("silu").takes(X)),
    /** x · relu6(x + 3) / 6. */
    HARDSWISH(aten("hardswish").takes(X)),
    /** relu6(x + 3) / 6. */
    HARDSIGMOID(aten("hardsigmoid").takes(X)),
    /** 1 / (1 + exp(−x)). */
    SIGMOID(aten("sigmoid").takes(X)),
    /** The hyperbolic tangent. */
    TANH(aten("tanh").takes(X)),
    /** log(1 + exp(beta · x)) / beta. */
    SOFTPLUS(aten("softplus").takes(X, number("beta", 1), number("threshold", 20))),
    /** x · tanh(softplus(x)). */
    MISH(aten("mish").takes(X)),
    /** x cut off at both ends. */
    HARDTANH(aten("hardtanh").takes(X, number("min_val", -1), number("max_val", 1))),
    /** elu with the constants that keep activations normal. */
    SELU(aten("selu").takes(X)),
    /** The logarithm of the sigmoid. */
    LOG_SIGMOID(aten("log_sigmoid").takes(X)),
    /** One half along a dimension times the sigmoid of the other. */
    GLU(aten("glu").does(MOVES).takes(X, integer("dim", -1))),
    /** Floats as 8-bit integers that know their scale: {@code round(x / scale) + zero_point}. */
    QUANTIZE(
            aten("quantize_per_tensor")
                    .takes(
                            X,
                            required(DOUBLE, "scale"),
                            required(LONG, "zero_point"),
                            required(DTYPE, "dtype"))),
    /** Quantized values as floats. */
    DEQUANTIZE(aten("dequantize.self").takes(X)),
    /** The sum of two quantized tensors, with a scale of its own. */
    QUANTIZED_ADD(
            quantized("add")
                    .takes(operand("qa"), operand("qb"), SCALE, required(LONG, "zero_point"))),
    /** The sum of two quantized tensors where it is positive, with a scale of its own. */
    QUANTIZED_ADD_RELU(
            quantized("add_relu")
                    .takes(operand("qa"), operand("qb"), SCALE, required(LONG, "zero_point"))),
    /** The product of two quantized tensors, with a scale of its own. */
    QUANTIZED_MUL(
            quantized("mul")
                    .takes(operand("qa"), operand("qb"), SCALE, required(LONG, "zero_point"))),
    /** Quantized tensors one after another along a dimension, with a scale of their own. */
    QUANTIZED_CAT(
            quantized("cat")
                    .does(MOVES)
                    .takes(
                            list("qx"),
                            required(LONG, "dim"),
                            left(DOUBLE, "scale"),
                            left(LONG, "zero_point"))),
    /** A number added to a quantized tensor, whose scale or zero point follows. */
    QUANTIZED_ADD_SCALAR(quantized("add_scalar").takes(operand("qa"), required(DOUBLE, "b"))),
    /** A quantized tensor times a number, which its scale follows. */
    QUANTIZED_MUL_SCALAR(quantized("mul_scalar").takes(operand("qa"), required(DOUBLE, "b"))),

    /** exp(x) over its sum along a dimension. */
    SOFTMAX(aten("softmax.int").does(NORMALIZES).takes(X, required(LONG, "dim"))),
    /** The logarithm of softmax. */
    LOG_SOFTMAX(aten("log_softmax.int").does(NORMALIZES).takes(X, required(LONG, "dim"))),
    /** By the batch's or the running statistics of each channel. */
    BATCH_NORM(
            aten("batch_norm")
                    .does(WITHIN)
                    .takes(
                            X,
                            optional("weight"),
                            BIAS,
                            optional("running_mean"),
                            optional("running_var"),
                            flag("training", false),
                            number("momentum", 0.1),
                            number("eps", 1e-5),
                            fixed(true))),
    /** Over the last dimensions. */
    LAYER_NORM(
            aten("layer_norm")
                    .does(NORMALIZES)
                    .takes(
                            X,
                            required(LONGS, "normalized_shape"),
                            optional("weight"),
                            BIAS,
                            number("eps", 1e-5),
                            fixed(true))),
    /** Over groups of the channels. */
    GROUP_NORM(
            aten("group_norm")
                    .does(NORMALIZES)
                    .takes(
                            X,
                            required(LONG, "num_groups"),
                            optional("weight"),
                            BIAS,
                            number("eps", 1e-5),
                            fixed(true))),
    /** Over the root of the mean square of the last dimensions. */
    RMS_NORM(
            aten("rms_norm")
                    .does(NORMALIZES)
                    .takes(
                            X,
                            required(LONGS, "normalized_shape"),
                            optional("weight"),
                            left(DOUBLE, "eps"))),
    /** The sums of the elements up to each. */
    CUMSUM(aten("cumsum").does(NORMALIZES).takes(X, required(LONG, "dim"))),

    /** The maximum under a window. */
    MAX_POOL1D(maxPool(1)),
    /** The maximum under a window. */
    MAX_POOL2D(maxPool(2)),
    /** The maximum under a window. */
    MAX_POOL3D(maxPool(3)),
    /** The mean under a window. */
    AVG_POOL1D(averagePool(1)),
    /** The mean under a window. */
    AVG_POOL2D(averagePool(2)),
    /** The mean under a window. */
    AVG_POOL3D(averagePool(3)),
    /** The mean over as many windows as the output is to have elements. */
    ADAPTIVE_AVG_POOL1D(
            aten("adaptive_avg_pool1d").does(WITHIN).takes(X, required(LONGS, "output_size"))),
    /** The mean over as many windows as the output is to have elements. */
    ADAPTIVE_AVG_POOL2D(
            aten("adaptive_avg_pool2d").does(WITHIN).takes(X, required(LONGS, "output_size"))),
    /** Larger or smaller by the nearest element. */
    UPSAMPLE_NEAREST1D(nearest(1)),
    /** Larger or smaller by the nearest element. */
    UPSAMPLE_NEAREST2D(nearest(2)),
    /** Larger or smaller by the nearest element. */
    UPSAMPLE_NEAREST3D(nearest(3)),
    /** Larger or smaller along lines. */
    UPSAMPLE_LINEAR1D(interpolation("linear1d")),
    /** Larger or smaller along lines in both directions. */
    UPSAMPLE_BILINEAR2D(interpolation("bilinear2d")),
    /** Larger or smaller along lines in all three directions. */
    UPSAMPLE_TRILINEAR3D(interpolation("trilinear3d")),
    /** Larger or smaller along cubic curves. */
    UPSAMPLE_BICUBIC2D(interpolation("bicubic2d")),
    /** The values at points of a grid, whose coordinates are in −1…1. */
    GRID_SAMPLER(
            aten("grid_sampler")
                    .does(WITHIN)
                    .takes(
                            X,
                            operand("grid"),
                            required(LONG, "interpolation_mode"),
                            required(LONG, "padding_mode"),
                            required(BOOLEAN, "align_corners"))),
    /** With values put around. */
    PAD(
            aten("pad")
                    .does(WITHIN)
                    .takes(
                            X,
                            required(LONGS, "pad"),
                            text("mode", "constant"),
                            left(DOUBLE, "value"))),

    /** The mean along dimensions. */
    MEAN(reduction("mean.dim")),
    /** The mean of all elements. */
    MEAN_ALL(aten("mean").does(REDUCES).takes(X)),
    /** The sum along dimensions. */
    SUM(reduction("sum.dim_IntList")),
    /** The sum of all elements. */
    SUM_ALL(aten("sum").does(REDUCES).takes(X)),
    /** The product along a dimension. */
    PROD(
            aten("prod.dim_int")
                    .does(REDUCES)
                    .takes(X, required(LONG, "dim"), flag("keepdim", false))),
    /** The largest along dimensions. */
    AMAX(reduction("amax")),
    /** The smallest along dimensions. */
    AMIN(reduction("amin")),
    /** The logarithm of the sum of exponentials. */
    LOGSUMEXP(reduction("logsumexp")),
    /** The variance along dimensions. */
    VAR(deviation("var.correction")),
    /** The standard deviation along dimensions. */
    STD(deviation("std.correction")),
    /** The norm along dimensions. */
    NORM(
            aten("linalg_vector_norm")
                    .does(REDUCES)
                    .takes(X, number("ord", 2), left(LONGS, "dim"), flag("keepdim", false))),
    /** The largest element. */
    MAX_ALL(aten("max").does(REDUCES).takes(X)),
    /** The smallest element. */
    MIN_ALL(aten("min").does(REDUCES).takes(X)),
    /** Where the largest element along a dimension is. */
    ARGMAX(extreme("argmax").gives(1)),
    /** Where the smallest element along a dimension is. */
    ARGMIN(extreme("argmin").gives(1)),
    /** The largest along a dimension, and where they are. */
    MAX(extreme("max.dim")),
    /** The smallest along a dimension, and where they are. */
    MIN(extreme("min.dim")),
    /** The largest k along a dimension, and where they are. */
    TOPK(
            aten("topk")
                    .does(MOVES)
                    .gives(2)
                    .takes(
                            X,
                            required(LONG, "k"),
                            integer("dim", -1),
                            flag("largest", true),
                            flag("sorted", true))),
    /** In order along a dimension, and where they were. */
    SORT(aten("sort").does(MOVES).gives(2).takes(X, integer("dim", -1), flag("descending", false))),

    /** The same elements in another shape. */
    RESHAPE(view("reshape", required(LONGS, "shape"))),
    /** Dimensions as one. */
    FLATTEN(view("flatten.using_ints", integer("start_dim", 0), integer("end_dim", -1))),
    /** Two dimensions swapped. */
    TRANSPOSE(view("transpose.int", required(LONG, "dim0"), required(LONG, "dim1"))),
    /** The dimensions in another order. */
    PERMUTE(view("permute", required(LONGS, "dims"))),
    /** A dimension of length 1 put in. */
    UNSQUEEZE(view("unsqueeze", required(LONG, "dim"))),
    /** A dimension of length 1 taken out. */
    SQUEEZE(view("squeeze.dim", required(LONG, "dim"))),
    /** A range of the elements along a dimension. */
    NARROW(
            view(
                    "narrow",
                    required(LONG, "dim"),
                    required(LONG, "start"),
                    required(LONG, "length"))),
    /** Parts of one size along a dimension; the last may be smaller. */
    SPLIT(view("split.Tensor", required(LONG, "split_size"), integer("dim", 0)).gives(ANY)),
    /** A number of parts along a dimension. */
    CHUNK(view("chunk", required(LONG, "chunks"), integer("dim", 0)).gives(ANY)),
    /** One dimension as several. */
    UNFLATTEN(view("unflatten.int", required(LONG, "dim"), required(LONGS, "sizes"))),
    /** Dimensions of length 1 repeated without a copy. */
    EXPAND(view("expand", required(LONGS, "size"))),
    /** One slice along a dimension. */
    SELECT(view("select.int", required(LONG, "dim"), required(LONG, "index"))),
    /** Every so many elements of a range along a dimension. */
    SLICE(
            view(
                    "slice.Tensor",
                    integer("dim", 0),
                    left(LONG, "start"),
                    left(LONG, "end"),
                    integer("step", 1))),
    /** Parts of given sizes along a dimension. */
    SPLIT_WITH_SIZES(
            view("split_with_sizes", required(LONGS, "split_sizes"), integer("dim", 0)).gives(ANY)),
    /** The slices along a dimension. */
    UNBIND(view("unbind.int", integer("dim", 0)).gives(ANY)),
    /** The elements in their order in memory. */
    CONTIGUOUS(view("contiguous")),
    /** Repeated along each dimension. */
    REPEAT(move("repeat", required(LONGS, "repeats"))),
    /** In reverse order along dimensions. */
    FLIP(move("flip", required(LONGS, "dims"))),
    /** Moved on along dimensions. */
    ROLL(move("roll", required(LONGS, "shifts"), OperatorDefinition.longs("dims"))),
    /** The slices at indices. */
    INDEX_SELECT(
            aten("index_select")
                    .does(MOVES)
                    .choosing()
                    .takes(X, required(LONG, "dim"), operand("index"))),
    /** The elements at indices along a dimension. */
    GATHER(aten("gather").does(MOVES).choosing().takes(X, required(LONG, "dim"), operand("index"))),
    /** With other elements at indices along a dimension. */
    SCATTER(
            aten("scatter.src")
                    .does(MOVES)
                    .takes(X, required(LONG, "dim"), operand("index"), operand("src"))),
    /** With other elements joined to those at indices along a dimension. */
    SCATTER_REDUCE(
            aten("scatter_reduce.two")
                    .does(MOVES)
                    .takes(
                            X,
                            required(LONG, "dim"),
                            operand("index"),
                            operand("src"),
                            required(TEXT, "reduce"),
                            flag("include_self", true))),
    /** The indices of the elements that differ from zero, one row for each. */
    NONZERO(aten("nonzero").does(MIXES).takes(X)),
    /** The lengths of the dimensions. */
    SHAPE(aten("_shape_as_tensor").does(MIXES).takes(X)),
    /** The same elements in a shape that is computed. */
    RESHAPE_TO(aten("_reshape_from_tensor").does(MOVES).choosing().takes(X, operand("shape"))),
    /** One number everywhere. */
    FULL(
            aten("full")
                    .takes(
                            required(LONGS, "size"),
                            required(DOUBLE, "fill_value"),
                            left(DTYPE, "dtype"))),
    /** The integers from a first one to the one before an end. */
    ARANGE(
            aten("arange.start_step")
                    .takes(required(LONG, "start"), required(LONG, "end"), integer("step", 1))),
    /** The lower left, zeros elsewhere. */
    TRIL(aten("tril").takes(X, integer("diagonal", 0))),
    /** The upper right, zeros elsewhere. */
    TRIU(aten("triu").takes(X, integer("diagonal", 0))),
    /** Channels as finer pixels. */
    PIXEL_SHUFFLE(move("pixel_shuffle", required(LONG, "upscale_factor"))),
    /** Finer pixels as channels. */
    PIXEL_UNSHUFFLE(move("pixel_unshuffle", required(LONG, "downscale_factor"))),
    /** Tensors one after another along a dimension. */
    CAT(aten("cat").does(MOVES).takes(list("tensors"), integer("dim", 0))),
    /** Tensors side by side along a dimension of their own. */
    STACK(aten("stack").does(MOVES).takes(list("tensors"), integer("dim", 0)));

    private final OperatorDefinition definition;

    GraphOperator(OperatorDefinition definition) {
        this.definition = definition;
    }

    /** The name that a graph prints and a file holds, such as {@code max_pool2d}. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }

    /**
     * The operator of a name.
     *
     * @throws EspalierException if there is none
     */
    static GraphOperator of(String name) {
        for (GraphOperator operator : values()) {
            if (operator.toString().equals(name)) {
                return operator;
            }
        }
        throw new EspalierException(
                "A graph has no operator '"
                        + name
                        + "'; it has: "
                        + List.of(values()).stream()
                                .map(GraphOperator::toString)
                                .collect(Collectors.joining(", "))
                        + ".");
    }

    /** What it takes, in the order of libtorch's schema. */
    public List<Argument> arguments() {
        return definition.arguments();
    }

    /** The tensors that it takes, in their order. */
    public List<Operand> operands() {
        return arguments().stream()
                .filter(Operand.class::isInstance)
                .map(Operand.class::cast)
                .toList();
    }

    /** The constants that it takes, in their order. */
    public List<Attribute> attributes() {
        return arguments().stream()
                .filter(Attribute.class::isInstance)
                .map(Attribute.class::cast)
                .toList();
    }

    /**
     * The constant of a name.
     *
     * @throws EspalierException if there is none
     */
    public Attribute attribute(String name) {
        return attributes().stream()
                .filter(attribute -> attribute.name().equals(name))
                .findFirst()
                .orElseThrow(() ->
                        new EspalierException(
                                this
                                        + " has no attribute '"
                                        + name
                                        + "'; it has: "
                                        + attributes().stream()
                                                .map(Attribute::name)
                                                .collect(Collectors.joining(", "))
                                        + "."));
    }

    /** Whether its operands are a list of any length. */
    public boolean takesList() {
        return operands().stream().anyMatch(operand -> operand.arity() == Arity.LIST);
    }

    /** How many results it has; empty where that differs from call to call. */
    public OptionalInt results() {
        return definition.results() == ANY
                ? OptionalInt.empty()
                : OptionalInt.of(definition.results());
    }

    /** Whether its results share the memory of its operand, where they can. */
    public boolean isView() {
        return definition.view();
    }

    /** Whether each element of its result is one of its operand's, so that it has their scale. */
    public boolean choosesAmongElements() {
        return definition.chooses();
    }

    /** What it does to channels. */
    public ChannelEffect channels() {
        return definition.channels();
    }

    /** The operator of libtorch's that computes it, with its overload. */
    String libtorch() {
        return definition.libtorch();
    }

    /** The operator that one of libtorch's is. */
    static Optional<GraphOperator> ofLibtorch(String name) {
        return Optional.ofNullable(LibtorchBinding.BY_NAME.get(name));
    }
}
