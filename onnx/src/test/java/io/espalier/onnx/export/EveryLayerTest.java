package io.espalier.onnx.export;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.nn.AdaptiveAvgPool1d;
import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.AvgPool1d;
import io.espalier.nn.AvgPool2d;
import io.espalier.nn.BatchNorm1d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.BatchNorm3d;
import io.espalier.nn.Conv1d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Conv3d;
import io.espalier.nn.ConvTranspose1d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.ConvTranspose3d;
import io.espalier.nn.Dropout;
import io.espalier.nn.ELU;
import io.espalier.nn.Embedding;
import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.Flatten;
import io.espalier.nn.GELU;
import io.espalier.nn.GRU;
import io.espalier.nn.GroupNorm;
import io.espalier.nn.Hardsigmoid;
import io.espalier.nn.Hardswish;
import io.espalier.nn.Identity;
import io.espalier.nn.InstanceNorm1d;
import io.espalier.nn.InstanceNorm2d;
import io.espalier.nn.InstanceNorm3d;
import io.espalier.nn.LSTM;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.LeakyReLU;
import io.espalier.nn.Linear;
import io.espalier.nn.LogSoftmax;
import io.espalier.nn.MaxPool1d;
import io.espalier.nn.MaxPool2d;
import io.espalier.nn.Module;
import io.espalier.nn.MultiheadAttention;
import io.espalier.nn.PReLU;
import io.espalier.nn.PaddingMode;
import io.espalier.nn.ReLU;
import io.espalier.nn.ReLU6;
import io.espalier.nn.Recurrent;
import io.espalier.nn.Sequential;
import io.espalier.nn.SiLU;
import io.espalier.nn.Sigmoid;
import io.espalier.nn.Softmax;
import io.espalier.nn.Tanh;
import io.espalier.nn.Upsample;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.Supplier;

@DisplayName("A layer's file")
class EveryLayerTest {
    private static final double SAME = 1e-5;

    /**
     * A layer, and two calls that it takes.
     *
     * @param layer in words, for the test's name
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Sample(String name, Supplier<Module> layer, Tensor[] first, Tensor[] second) {
        @Override
        public String toString() {
            return name;
        }
    }

    private static Sample sample(Supplier<Module> layer, long... shape) {
        long[] other = shape.clone();
        other[0] = 3;
        return of(layer, new Tensor[] {Tensors.randn(shape)}, new Tensor[] {Tensors.randn(other)});
    }

    /** A call of one shape only. */
    private static Sample once(Supplier<Module> layer, Tensor... inputs) {
        return of(layer, inputs, inputs);
    }

    private static Sample of(Supplier<Module> layer, Tensor[] first, Tensor[] second) {
        return new Sample(layer.get().toString().replaceAll("\\s+", " "), layer, first, second);
    }

    private static Tensor longs(long[] shape, long... values) {
        return Tensors.of(values, shape);
    }

    static final List<Sample> SAMPLES =
            List.of(
                    sample(() -> new Linear(3, 4), 2, 3),
                    sample(() -> new Linear(3, 4), 2, 5, 3),
                    sample(() -> new Sequential(new Linear(3, 4)), 2, 2, 2, 3),
                    once(() -> new Linear(3, 4), Tensors.randn(3)),
                    sample(() -> new Conv1d(2, 4, 3, o -> o.groups(2)), 2, 2, 5),
                    sample(() -> new Conv2d(2, 4, 3, o -> o.padding(1).stride(2)), 2, 2, 5, 6),
                    once(() -> new Conv2d(2, 4, 3), Tensors.randn(2, 5, 6)),
                    sample(
                            () ->
                                    new Conv2d(
                                            2,
                                            4,
                                            3,
                                            o ->
                                                    o.padding(new long[] {1, 0}, new long[] {2, 1})
                                                            .bias(false)),
                            2,
                            2,
                            5,
                            6),
                    sample(
                            () ->
                                    new Conv2d(
                                            2,
                                            4,
                                            3,
                                            o -> o.padding(2, 1).paddingMode(PaddingMode.REFLECT)),
                            2,
                            2,
                            5,
                            6),
                    sample(
                            () ->
                                    new Conv2d(
                                            2,
                                            4,
                                            3,
                                            o -> o.padding(2, 1).paddingMode(PaddingMode.CIRCULAR)),
                            2,
                            2,
                            5,
                            6),
                    sample(
                            () ->
                                    new Conv1d(
                                            2,
                                            4,
                                            3,
                                            o -> o.padding(2).paddingMode(PaddingMode.REPLICATE)),
                            2,
                            2,
                            5),
                    sample(() -> new Conv3d(2, 4, 2, o -> o.dilation(2)), 2, 2, 4, 4, 4),
                    sample(() -> new ConvTranspose1d(2, 4, 3, o -> o.stride(2)), 2, 2, 5),
                    sample(
                            () ->
                                    new ConvTranspose2d(
                                            2,
                                            4,
                                            3,
                                            o -> o.stride(2).padding(1).outputPadding(1).groups(2)),
                            2,
                            2,
                            5,
                            4),
                    sample(() -> new ConvTranspose3d(2, 4, 2), 2, 2, 3, 3, 3),
                    sample(() -> new BatchNorm1d(3), 4, 3),
                    sample(() -> new BatchNorm1d(3), 4, 3, 5),
                    sample(() -> new BatchNorm2d(3, o -> o.affine(false)), 4, 3, 2, 2),
                    sample(() -> new BatchNorm2d(3, o -> o.trackRunningStats(false)), 4, 3, 2, 2),
                    sample(() -> new BatchNorm3d(3), 4, 3, 2, 2, 2),
                    sample(() -> new LayerNorm(3), 4, 3),
                    sample(() -> new LayerNorm(3, o -> o.elementwiseAffine(false)), 4, 3),
                    sample(() -> new LayerNorm(new long[] {2, 3}, o -> o.bias(false)), 4, 2, 3),
                    sample(() -> new GroupNorm(2, 4), 3, 4, 5),
                    sample(() -> new GroupNorm(2, 4), 2, 4),
                    sample(() -> new GroupNorm(2, 4, o -> o.affine(false)), 2, 4, 3, 3),
                    sample(() -> new InstanceNorm1d(3, o -> o.affine(true)), 2, 3, 4),
                    once(() -> new InstanceNorm1d(3), Tensors.randn(3, 4)),
                    sample(() -> new InstanceNorm2d(3), 2, 3, 4, 2),
                    sample(() -> new InstanceNorm3d(3, o -> o.affine(true)), 2, 3, 2, 2, 2),
                    sample(() -> new PReLU(3), 4, 3),
                    sample(() -> new PReLU(3), 4, 3, 2, 2),
                    sample(PReLU::new, 4, 3, 2),
                    sample(ReLU::new, 2, 3),
                    sample(ReLU6::new, 2, 3),
                    sample(() -> new LeakyReLU(0.2), 2, 3),
                    sample(() -> new ELU(0.5), 2, 3),
                    sample(GELU::new, 2, 3),
                    sample(SiLU::new, 2, 3),
                    sample(Hardswish::new, 2, 3),
                    sample(Hardsigmoid::new, 2, 3),
                    sample(Sigmoid::new, 2, 3),
                    sample(Tanh::new, 2, 3),
                    sample(() -> new Softmax(1), 2, 3),
                    sample(() -> new LogSoftmax(-1), 2, 3),
                    sample(() -> new Dropout(0.5), 2, 3),
                    sample(Identity::new, 2, 3),
                    sample(Flatten::new, 2, 3, 4),
                    sample(() -> new Flatten(2, 3), 2, 3, 4, 2),
                    sample(() -> new MaxPool1d(2), 2, 3, 5),
                    sample(() -> new MaxPool2d(3, o -> o.stride(2).padding(1)), 2, 3, 6, 7),
                    sample(
                            () -> new MaxPool2d(3, o -> o.stride(2).padding(1).ceilMode(true)),
                            2,
                            3,
                            6,
                            7),
                    sample(
                            () -> new MaxPool2d(2, o -> o.padding(new long[] {0}, new long[] {1})),
                            2,
                            3,
                            5,
                            5),
                    sample(() -> new AvgPool1d(2), 2, 3, 5),
                    sample(() -> new AvgPool2d(3, o -> o.stride(2).padding(1)), 2, 3, 6, 7),
                    sample(
                            () ->
                                    new AvgPool2d(
                                            3, o -> o.stride(2).padding(1).countIncludePad(false)),
                            2,
                            3,
                            6,
                            7),
                    sample(
                            () -> new AvgPool2d(3, o -> o.stride(2).padding(1).ceilMode(true)),
                            2,
                            3,
                            6,
                            8),
                    sample(
                            () -> new AvgPool2d(2, o -> o.padding(new long[] {0}, new long[] {1})),
                            2,
                            3,
                            5,
                            5),
                    sample(() -> new AdaptiveAvgPool1d(3), 2, 3, 7),
                    sample(() -> new AdaptiveAvgPool2d(1), 2, 3, 6, 7),
                    sample(() -> new AdaptiveAvgPool2d(3, 2), 2, 3, 7, 5),
                    sample(() -> new AdaptiveAvgPool2d(3), 2, 3, 6, 9),
                    once(() -> new AdaptiveAvgPool2d(2), Tensors.randn(3, 6, 4)),
                    sample(() -> Upsample.byFactor(2), 2, 3, 4, 5),
                    sample(() -> Upsample.byFactor(2), 2, 3, 5),
                    sample(() -> Upsample.byFactor(1.5), 2, 3, 4, 5),
                    sample(() -> Upsample.toSize(7, 3), 2, 3, 4, 5),
                    sample(
                            () ->
                                    Upsample.toSize(
                                            new long[] {7, 3}, o -> o.mode(Upsample.Mode.BILINEAR)),
                            2,
                            3,
                            4,
                            5),
                    sample(
                            () ->
                                    Upsample.byFactor(
                                            new double[] {2},
                                            o -> o.mode(Upsample.Mode.BILINEAR).alignCorners(true)),
                            2,
                            3,
                            4,
                            5),
                    sample(
                            () ->
                                    Upsample.byFactor(
                                            new double[] {2}, o -> o.mode(Upsample.Mode.BICUBIC)),
                            2,
                            3,
                            4,
                            5),
                    sample(
                            () ->
                                    Upsample.byFactor(
                                            new double[] {2}, o -> o.mode(Upsample.Mode.LINEAR)),
                            2,
                            3,
                            5),
                    sample(() -> new LSTM(3, 4), 2, 2, 3),
                    sample(() -> new LSTM(3, 4, o -> o.layers(2).bidirectional(true)), 5, 2, 3),
                    sample(() -> new LSTM(3, 4, o -> o.batchFirst(true).bias(false)), 2, 5, 3),
                    once(() -> new LSTM(3, 4), Tensors.randn(5, 3)),
                    once(
                            () -> new LSTM(3, 4, o -> o.layers(2)),
                            Tensors.randn(5, 2, 3),
                            Tensors.randn(2, 2, 4),
                            Tensors.randn(2, 2, 4)),
                    sample(() -> new GRU(3, 4, o -> o.layers(2)), 5, 2, 3),
                    sample(
                            () -> new GRU(3, 4, o -> o.batchFirst(true).bidirectional(true)),
                            2,
                            5,
                            3),
                    sample(() -> new MultiheadAttention(6, 2), 4, 2, 6),
                    sample(
                            () ->
                                    new MultiheadAttention(
                                            6, 2, o -> o.batchFirst(true).needWeights(false)),
                            2,
                            5,
                            6),
                    once(() -> new MultiheadAttention(6, 2), Tensors.randn(4, 6)),
                    once(
                            () -> new MultiheadAttention(6, 2, o -> o.bias(false)),
                            Tensors.randn(4, 2, 6),
                            Tensors.randn(5, 2, 6),
                            Tensors.randn(5, 2, 6),
                            longs(new long[] {2, 5}, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1)
                                    .to(ScalarType.Bool),
                            Tensors.randn(4, 5)),
                    sample(() -> new MultiheadAttention(6, 2, o -> o.lookedInto(true)), 4, 2, 6),
                    of(
                            () -> new Embedding(5, 3, 0),
                            new Tensor[] {longs(new long[] {3}, 1, 4, 0)},
                            new Tensor[] {longs(new long[] {2}, 2, 3)}),
                    of(
                            () -> new EmbeddingBag(5, 3),
                            new Tensor[] {longs(new long[] {2, 2}, 1, 4, 0, 4)},
                            new Tensor[] {longs(new long[] {1, 2}, 2, 3)}),
                    bags(EmbeddingBag.Mode.SUM),
                    bags(EmbeddingBag.Mode.MEAN),
                    bags(EmbeddingBag.Mode.MAX),
                    once(
                            () -> new EmbeddingBag(5, 3, o -> o.mode(EmbeddingBag.Mode.SUM)),
                            longs(new long[] {2, 2}, 1, 4, 0, 4),
                            Tensors.randn(2, 2)));

    /** Flat indices with padding among them, the last bag empty. */
    private static Sample bags(EmbeddingBag.Mode mode) {
        return once(
                () -> new EmbeddingBag(5, 3, o -> o.mode(mode).paddingIndex(0)),
                longs(new long[] {6}, 1, 4, 0, 4, 0, 2),
                longs(new long[] {4}, 0, 2, 3, 6));
    }

    @BeforeEach
    void seed() {
        Libtorch.seed(1);
    }

    @ParameterizedTest
    @DisplayName("gives in ONNX Runtime what the layer gives, for one batch and for another")
    @FieldSource("SAMPLES")
    void agrees(Sample sample) {
        Module layer = sample.layer.get();
        layer.callAll(Arrays.asList(sample.first)); // statistics of a normalization
        layer.eval();

        Exported exported = Exported.of(layer, sample.first);

        exported.assertAgree(SAME, sample.first);
        exported.assertAgree(SAME, sample.second);
    }

    @ParameterizedTest
    @DisplayName("has the layer's parameters by their names")
    @FieldSource("SAMPLES")
    void names(Sample sample) {
        Module layer = sample.layer.get();
        layer.eval();
        if (layer instanceof Recurrent) {
            return; // ONNX has them together, in another order
        }

        var constants = OnnxExport.of(layer, sample.first).graph().constants();

        layer.namedParameters()
                .forEach((name, tensor) ->
                        assertEquals(
                                Arrays.stream(Tensors.shape(tensor)).boxed().toList(),
                                Objects.requireNonNull(constants.get(name), name).shape()));
    }
}
