package io.espalier.nn;

import static io.espalier.TensorAssertions.assertSameTensors;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/** What holds for every layer with parameters. */
class EveryLayerTest {
    /** A way to make the layer, and inputs for it. */
    record Sample(Supplier<Module> layer, List<Tensor> inputs) {
        @Override
        public String toString() {
            return layer.get().typeName();
        }
    }

    static final List<Sample> SAMPLES =
            List.of(
                    sample(() -> new Linear(3, 4), 2, 3),
                    sample(() -> new Conv1d(2, 4, 3, o -> o.groups(2)), 2, 2, 5),
                    sample(() -> new Conv2d(2, 4, 3, o -> o.padding(1)), 2, 2, 5, 5),
                    sample(() -> new Conv3d(2, 4, 2), 2, 2, 3, 3, 3),
                    sample(() -> new ConvTranspose1d(2, 4, 3), 2, 2, 5),
                    sample(() -> new ConvTranspose2d(2, 4, 3), 2, 2, 5, 5),
                    sample(() -> new ConvTranspose3d(2, 4, 2), 2, 2, 3, 3, 3),
                    sample(() -> new BatchNorm1d(3), 4, 3),
                    sample(() -> new BatchNorm2d(3), 4, 3, 2, 2),
                    sample(() -> new BatchNorm3d(3), 4, 3, 2, 2, 2),
                    sample(() -> new LayerNorm(3), 4, 3),
                    sample(() -> new GroupNorm(2, 4), 3, 4, 5),
                    sample(() -> new InstanceNorm1d(3, o -> o.affine(true)), 2, 3, 4),
                    sample(() -> new InstanceNorm2d(3, o -> o.affine(true)), 2, 3, 4, 2),
                    sample(() -> new InstanceNorm3d(3, o -> o.affine(true)), 2, 3, 2, 2, 2),
                    sample(() -> new PReLU(3), 4, 3),
                    sample(() -> new LSTM(3, 4, o -> o.layers(2).bidirectional(true)), 5, 2, 3),
                    sample(() -> new GRU(3, 4, o -> o.layers(2).dropout(0.5)), 5, 2, 3),
                    sample(() -> new MultiheadAttention(6, 2), 4, 2, 6),
                    new Sample(
                            () -> new Embedding(5, 3, 0),
                            List.of(Tensors.of(new long[] {1, 4, 0}, 3))),
                    new Sample(
                            () -> new EmbeddingBag(5, 3),
                            List.of(Tensors.of(new long[] {1, 4, 0, 4}, 2, 2))),
                    sample(
                            () ->
                                    new Sequential(
                                            new Conv2d(1, 2, 3, o -> o.bias(false)),
                                            new BatchNorm2d(2),
                                            new ReLU(),
                                            new Flatten(),
                                            new Linear(8, 2)),
                            3,
                            1,
                            4,
                            4));

    private static Sample sample(Supplier<Module> layer, long... shape) {
        return new Sample(layer, List.of(Tensors.randn(shape)));
    }

    private static List<Tensor> evaluate(Module layer, Sample sample) {
        layer.eval();
        return layer.callAll(sample.inputs);
    }

    private static void assertSameOutputs(List<Tensor> expected, List<Tensor> actual) {
        assertEquals(expected.size(), actual.size());
        for (int i = 0; i < expected.size(); i++) {
            assertTrue(Tensors.equal(expected.get(i), actual.get(i)));
        }
    }

    @BeforeEach
    void seed() {
        Libtorch.seed(1);
    }

    @ParameterizedTest
    @DisplayName("a copy computes the same and shares no tensor")
    @FieldSource("SAMPLES")
    void copies(Sample sample) {
        Module layer = sample.layer.get();
        layer.callAll(sample.inputs);
        Module copy = layer.copy();
        assertEquals(layer.toString(), copy.toString());
        assertSameTensors(layer.stateDict(), copy.stateDict());
        List<Tensor> expected = evaluate(layer, sample);
        assertSameOutputs(expected, evaluate(copy, sample));
        copy.namedParameters()
                .forEach((name, tensor) -> {
                    assertNotSame(layer.namedParameters().get(name), tensor);
                    tensor.detach().zero_();
                });
        copy.namedBuffers().values().forEach(Tensor::zero_);
        assertSameOutputs(expected, evaluate(layer, sample));
    }

    @ParameterizedTest
    @DisplayName("a loss reaches every parameter")
    @FieldSource("SAMPLES")
    void gradientFlows(Sample sample) {
        Module layer = sample.layer.get();
        Tensor output = layer.callAll(sample.inputs).getFirst();
        output.mul(Tensors.randn(Tensors.shape(output))).sum().backward();
        String without =
                layer.namedParameters().entrySet().stream()
                        .filter(entry ->
                                !entry.getValue().grad().defined()
                                        || entry.getValue().grad().abs().sum().item_float() == 0)
                        .map(Map.Entry::getKey)
                        .collect(Collectors.joining(", "));
        assertEquals("", without);
    }

    @ParameterizedTest
    @DisplayName("another layer with its state computes the same")
    @FieldSource("SAMPLES")
    void stateIsComplete(Sample sample) {
        Module layer = sample.layer.get();
        layer.callAll(sample.inputs);
        Module other = sample.layer.get();
        other.loadStateDict(layer.stateDict());
        assertSameOutputs(evaluate(layer, sample), evaluate(other, sample));
    }

    @ParameterizedTest
    @DisplayName("a mask on its weight prunes it in every forward")
    @FieldSource("SAMPLES")
    void masked(Sample sample) {
        Module layer = sample.layer.get();
        layer.namedModules()
                .values()
                .forEach(module ->
                        List.copyOf(module.ownParameters().keySet())
                                .forEach(name -> maskAll(module, name)));
        List<Tensor> masked = evaluate(layer, sample);
        Module zero = sample.layer.get();
        zero.parameters().forEach(parameter -> parameter.detach().zero_());
        assertSameOutputs(evaluate(zero, sample), masked);
    }

    private static void maskAll(Module module, String name) {
        Mask mask = new Mask(name);
        Tensor zeros = module.parameter(name).detach().mul(new Scalar(0.0));
        module.storeAs(name, mask.storedName());
        module.addBuffer(mask.bufferName(), zeros.abs());
        module.parametrize(name, mask);
    }
}
