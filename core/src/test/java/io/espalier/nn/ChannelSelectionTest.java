package io.espalier.nn;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/**
 * Choosing inputs computes what the whole layer computes where all other inputs are 0; choosing
 * outputs gives those of the whole layer.
 */
class ChannelSelectionTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(11);
    }

    private static Tensor pick(Tensor x, long dim, long... kept) {
        return Functional.indexSelect(x, dim, Tensors.of(kept, kept.length));
    }

    /** With 0 where an index is not kept. */
    private static Tensor only(Tensor x, long dim, long... kept) {
        Tensor zeros = x.clone().zero_();
        Tensor indices = Tensors.of(kept, kept.length);
        return zeros.index_copy(dim, indices, x.index_select(dim, indices));
    }

    private static void mask(Module layer, String name, float share) {
        Tensor weight = layer.parameter(name);
        Tensor mask =
                Tensors.rand(Tensors.shape(weight)).lt(new Scalar(share)).to(Tensors.type(weight));
        layer.storeAs(name, name + "_orig");
        layer.addBuffer(name + "_mask", mask);
        layer.parametrize(name, new Mask(name));
    }

    @Test
    @DisplayName("a linear layer over some inputs or outputs, with its masks")
    void linear() {
        Linear layer = new Linear(5, 4);
        mask(layer, "weight", 0.6f);
        mask(layer, "bias", 0.5f);
        Tensor x = Tensors.randn(3, 5);
        Linear in = layer.withInputs(4, 0, 2);
        assertClose(layer.call(only(x, 1, 4, 0, 2)), in.call(pick(x, 1, 4, 0, 2)), 1e-6f);
        assertEquals("Linear(in_features=3, out_features=4, bias=True)", in.toString());
        Linear out = layer.withOutputs(3, 1);
        assertClose(pick(layer.call(x), 1, 3, 1), out.call(x), 1e-6f);
        assertEquals("Linear(in_features=5, out_features=2, bias=True)", out.toString());
        assertEquals(
                List.of("weight_orig", "bias_orig", "weight_mask", "bias_mask"),
                List.copyOf(out.stateDict().keySet()));
        assertArrayEquals(new long[] {2, 5}, Tensors.shape(out.buffer("weight_mask")));
        assertTrue(out.parameter("weight_orig").requires_grad());
        assertFalse(out.buffer("weight_mask").requires_grad());
    }

    @Test
    @DisplayName(
            "a chosen layer is of its class, in its mode, and shares nothing with the whole one")
    void independent() {
        Linear layer = new Linear(3, 4) {};
        layer.eval();
        Linear out = layer.withOutputs(0, 1, 2, 3);
        assertSame(layer.getClass(), out.getClass());
        assertFalse(out.isTraining());
        Tensor x = Tensors.randn(2, 3);
        Tensor before = layer.call(x).clone();
        out.parameter("weight").detach().zero_();
        out.parameter("bias").detach().zero_();
        assertClose(before, layer.call(x), 0);
        assertEquals(4, layer.outFeatures());
    }

    static Stream<Convolution> convolutions() {
        Libtorch.seed(2);
        UnaryOperator<Convolution.Options> plain = o -> o.stride(2).padding(1);
        UnaryOperator<Convolution.Options> grouped = o -> plain.apply(o).groups(2);
        return Stream.of(
                new Conv1d(4, 6, 3, plain),
                new Conv1d(4, 6, 3, grouped),
                new Conv2d(4, 6, 3, plain),
                new Conv2d(4, 6, 3, o -> grouped.apply(o).bias(false)),
                new Conv3d(4, 6, 2, grouped),
                new ConvTranspose1d(4, 6, 3, grouped),
                new ConvTranspose2d(4, 6, 3, plain),
                new ConvTranspose2d(4, 6, 3, grouped),
                new ConvTranspose3d(4, 6, 2, grouped));
    }

    private static Tensor example(Convolution layer) {
        long[] shape = new long[layer.stride().length + 2];
        Arrays.fill(shape, 5);
        shape[0] = 2;
        shape[1] = layer.inChannels();
        return Tensors.randn(shape);
    }

    @ParameterizedTest(name = "{0}")
    @DisplayName("a convolution over some channels, with its mask and its groups")
    @MethodSource("convolutions")
    void convolution(Convolution layer) {
        mask(layer, "weight", 0.7f);
        Tensor x = example(layer);
        long[] in = {1, 2};
        Convolution narrow = layer.withInputs(in);
        assertClose(layer.call(only(x, 1, in)), narrow.call(pick(x, 1, in)), 1e-5f);
        assertEquals(2, narrow.inChannels());
        assertEquals(layer.groups(), narrow.groups());
        long[] out = {2, 0, 5, 4};
        Convolution few = layer.withOutputs(out);
        assertClose(pick(layer.call(x), 1, out), few.call(x), 1e-5f);
        assertTrue(few.toString().startsWith(layer.getClass().getSimpleName() + "(4, 4, "));
        Tensor mask = few.value("weight").ne(new Scalar(0)).to(Tensors.type(few.weight()));
        assertClose(few.buffer("weight_mask"), mask, 0);
    }

    @ParameterizedTest(name = "{0} groups of {1} inputs and {2} outputs, transposed: {3}")
    @DisplayName("a convolution with some of its groups, a depthwise one with some of its channels")
    @CsvSource({"4,1,1,false", "4,1,2,false", "3,2,1,true", "4,1,1,true"})
    void groups(long groups, long in, long out, boolean transposed) {
        UnaryOperator<Convolution.Options> options = o -> o.padding(1).groups(groups);
        Convolution layer =
                transposed
                        ? new ConvTranspose2d(groups * in, groups * out, 3, options)
                        : new Conv2d(groups * in, groups * out, 3, options);
        mask(layer, "weight", 0.7f);
        Tensor x = example(layer);
        long[] inputs = Selection.blocks(in, 2, 0);
        long[] outputs = Selection.blocks(out, 2, 0);
        Convolution few = layer.withGroups(2, 0);
        assertClose(pick(layer.call(x), 1, outputs), few.call(pick(x, 1, inputs)), 1e-5f);
        assertEquals(2, few.groups());
        assertEquals(2, few.options().groups());
        assertEquals(few.toString(), few.copy().toString());
    }

    @Test
    @DisplayName("normalizations over some channels keep their statistics and parameters")
    void normalizations() {
        BatchNorm2d batch = new BatchNorm2d(4);
        batch.call(Tensors.randn(3, 4, 5, 5).mul(new Scalar(3)));
        batch.parameter("weight").detach().copy_(Tensors.rand(4));
        batch.parameter("bias").detach().copy_(Tensors.rand(4));
        batch.eval();
        Tensor x = Tensors.randn(2, 4, 3, 3);
        BatchNorm few = batch.withChannels(3, 1);
        assertClose(pick(batch.call(x), 1, 3, 1), few.call(pick(x, 1, 3, 1)), 1e-6f);
        assertEquals(2, few.numFeatures());
        assertEquals(1, few.buffer("num_batches_tracked").item_long());
        InstanceNorm instance = new InstanceNorm2d(4, o -> o.affine(true));
        instance.parameter("weight").detach().copy_(Tensors.rand(4));
        InstanceNorm fewer = instance.withChannels(3, 1);
        assertClose(pick(instance.call(x), 1, 3, 1), fewer.call(pick(x, 1, 3, 1)), 1e-6f);
        assertEquals(2, fewer.numFeatures());
        GroupNorm group = new GroupNorm(2, 4);
        group.parameter("weight").detach().copy_(Tensors.rand(4));
        GroupNorm one = group.withGroups(1);
        assertClose(pick(group.call(x), 1, 2, 3), one.call(pick(x, 1, 2, 3)), 1e-6f);
        GroupNorm half = group.withChannels(1, 2);
        Tensor weight = Tensors.of(floats(group.parameter("weight"), 1, 2));
        assertClose(
                Functional.groupNorm(pick(x, 1, 1, 2), 2, weight, Tensors.zeros(2), 1e-5),
                half.call(pick(x, 1, 1, 2)),
                1e-6f);
        LayerNorm layer = new LayerNorm(3);
        layer.parameter("bias").detach().copy_(Tensors.rand(3));
        Tensor bias = Tensors.of(floats(layer.parameter("bias"), 2, 0));
        assertClose(
                Functional.layerNorm(pick(x, 3, 2, 0), new long[] {2}, Tensors.ones(2), bias, 1e-5),
                layer.withFeatures(2, 0).call(pick(x, 3, 2, 0)),
                1e-6f);
        PReLU prelu = PReLU.of(Tensors.rand(4));
        assertClose(
                pick(prelu.call(x), 1, 0, 3), prelu.withChannels(0, 3).call(pick(x, 1, 0, 3)), 0);
        assertClose(new PReLU().call(x), new PReLU().withChannels(0, 3).call(x), 0);
    }

    private static float[] floats(Tensor tensor, int... indices) {
        float[] all = Tensors.floats(tensor.detach());
        float[] some = new float[indices.length];
        for (int i = 0; i < some.length; i++) {
            some[i] = all[indices[i]];
        }
        return some;
    }

    @Test
    @DisplayName("tables of some elements of each vector")
    void tables() {
        Tensor indices = Tensors.of(new long[] {0, 3, 1, 3}, 2, 2);
        Embedding table = new Embedding(5, 4, 1);
        Embedding narrow = table.withOutputs(3, 0);
        assertClose(pick(table.call(indices), 2, 3, 0), narrow.call(indices), 0);
        assertEquals("Embedding(5, 2, padding_idx=1)", narrow.toString());
        EmbeddingBag bags = new EmbeddingBag(5, 4);
        assertClose(pick(bags.call(indices), 1, 2), bags.withOutputs(2).call(indices), 0);
    }

    @ParameterizedTest(name = "GRU: {0}, layers: {1}, bidirectional: {2}")
    @DisplayName("recurrent networks over some inputs, and with some units of their state")
    @CsvSource({"false,1,false", "false,2,true", "true,1,false", "true,2,true", "true,3,false"})
    void recurrent(boolean gru, long layers, boolean bidirectional) {
        UnaryOperator<Recurrent.Options> options =
                o -> o.layers(layers).bidirectional(bidirectional);
        Recurrent network = gru ? new GRU(3, 4, options) : new LSTM(3, 4, options);
        mask(network, "weight_hh_l0", 0.8f);
        Tensor x = Tensors.randn(5, 2, 3);
        Recurrent narrow =
                gru ? ((GRU) network).withInputs(2, 0) : ((LSTM) network).withInputs(2, 0);
        assertClose(network.call(only(x, 2, 2, 0)), narrow.call(pick(x, 2, 2, 0)), 1e-5f);
        assertEquals(2, narrow.inputSize());

        long[][] kept = new long[Math.toIntExact(layers) * (bidirectional ? 2 : 1)][];
        for (int i = 0; i < kept.length; i++) {
            kept[i] = i % 2 == 0 ? new long[] {3, 1} : new long[] {0, 2};
        }
        Recurrent whole = network.copy();
        for (int i = 0; i < kept.length; i++) {
            silence(whole, whole.shape().suffixes().get(i), kept[i]);
        }
        long[] outputs = outputs(kept, bidirectional ? 2 : 1);
        Recurrent few = gru ? ((GRU) network).withHidden(kept) : ((LSTM) network).withHidden(kept);
        assertClose(pick(whole.call(x), 2, outputs), few.call(x), 1e-5f);
        assertEquals(2, few.hiddenSize());
        assertTrue(few.hasBuffer("weight_hh_l0_mask"));
    }

    /**
     * Lets the units that are not kept be 0: with gates fed by nothing but their own biases of 0, a
     * unit's state stays 0.
     */
    private static void silence(Recurrent network, String suffix, long... kept) {
        long[] left =
                LongStream.range(0, 4)
                        .filter(unit -> Arrays.stream(kept).noneMatch(k -> k == unit))
                        .toArray();
        for (String name : List.of("weight_ih", "weight_hh", "bias_ih", "bias_hh")) {
            Tensor tensor = network.parameter(network.storedName(name + suffix)).detach();
            for (long gate = 0; gate < tensor.size(0) / 4; gate++) {
                for (long unit : left) {
                    tensor.select(0, gate * 4 + unit).zero_();
                }
            }
        }
    }

    private static long[] outputs(long[][] kept, int directions) {
        LongStream all = LongStream.empty();
        for (int d = 0; d < directions; d++) {
            long first = d * 4L;
            all =
                    LongStream.concat(
                            all,
                            Arrays.stream(kept[kept.length - directions + d])
                                    .map(unit -> first + unit));
        }
        return all.toArray();
    }

    @ParameterizedTest(name = "weights as output: {0}")
    @DisplayName(
            "an attention with some heads computes what the whole one does with the others at 0")
    @CsvSource({"true", "false"})
    void heads(boolean needWeights) {
        MultiheadAttention layer = new MultiheadAttention(6, 3, o -> o.needWeights(needWeights));
        layer.parameter("in_proj_bias").detach().copy_(Tensors.rand(18));
        layer.module("out_proj").parameter("bias").detach().copy_(Tensors.rand(6));
        mask(layer, "in_proj_weight", 0.8f);
        mask(layer.module("out_proj"), "weight", 0.8f);
        Tensor x = Tensors.randn(4, 2, 6);
        Tensor keys = Tensors.randn(5, 2, 6);
        MultiheadAttention few = layer.withHeads(2, 0);
        MultiheadAttention whole = layer.copy();
        Tensor columns = whole.module("out_proj").parameter("weight_orig").detach();
        columns.narrow(1, 2, 2).zero_();
        assertClose(whole.call(x), few.call(x), 1e-6f);
        assertClose(whole.call(x, keys, keys), few.call(x, keys, keys), 1e-6f);
        assertEquals(2, few.numHeads());
        assertEquals(2, few.headSize());
        assertEquals(
                "MultiheadAttention(\n  (out_proj): NonDynamicallyQuantizableLinear("
                        + "in_features=4, out_features=6, bias=True)\n)",
                few.toString());
        MultiheadAttention loaded = new MultiheadAttention(6, 2, o -> few.options());
        loaded.loadStateDict(few.stateDict());
        assertClose(few.call(x), loaded.call(x), 0);

        MultiheadAttention narrow = layer.withFeatures(5, 1, 2);
        assertClose(
                pick(layer.call(only(x, 2, 5, 1, 2)), 2, 5, 1, 2),
                narrow.call(pick(x, 2, 5, 1, 2)),
                1e-6f);
        assertEquals(3, narrow.embedDim());
    }

    @Test
    @DisplayName("indices that choose nothing, twice or what is not there are refused")
    void refused() {
        Linear linear = new Linear(3, 2);
        assertEquals(
                "Linear has 2 output features, 0…1; asked to keep 2.",
                messageOf(() -> linear.withOutputs(0, 2)));
        assertEquals(
                "Asked to keep 1 of the input features of Linear twice; name each once.",
                messageOf(() -> linear.withInputs(1, 0, 1)));
        assertEquals(
                "A Linear without input features is none; keep at least one of 3.",
                messageOf(linear::withInputs));
        Conv2d grouped = new Conv2d(4, 4, 1, o -> o.groups(2));
        assertEquals(
                "Conv2d with 2 groups must keep as many output channels of each, group after group;"
                        + " asked for [0, 1]. To leave groups out, use withGroups.",
                messageOf(() -> grouped.withOutputs(0, 1)));
        assertEquals(
                "Conv2d with 2 groups must keep as many input channels of each, group after group;"
                        + " asked for [0, 1, 2]. To leave groups out, use withGroups.",
                messageOf(() -> grouped.withInputs(0, 1, 2)));
        LSTM lstm = new LSTM(2, 3, o -> o.layers(2));
        assertEquals(
                "LSTM takes one choice of units, or one for each of _l0, _l1; 3 were given.",
                messageOf(() -> lstm.withHidden(new long[] {0}, new long[] {0}, new long[] {0})));
        assertEquals(
                "All layers and directions keep the same number of units; asked for 1 and 2.",
                messageOf(() -> lstm.withHidden(new long[] {0}, new long[] {0, 1})));
        assertEquals(
                "Features are chosen of one dimension; this is LayerNorm((2, 3), eps=1e-05,"
                        + " elementwise_affine=True).",
                messageOf(() -> new LayerNorm(new long[] {2, 3}, o -> o).withFeatures(0)));
    }
}
