package io.espalier.train;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Adam;
import org.bytedeco.pytorch.LBFGS;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

class OptimizerArchiveTest {
    private static Adam moved(Tensor weight) {
        Adam optimizer = Optimizers.adam(List.of(weight), 0.1);
        weight.mul(weight).sum().backward();
        optimizer.step();
        return optimizer;
    }

    private static Tensor weight() {
        return Tensors.randn(2, 3, 4, 4)
                .contiguous(MemoryFormat.ChannelsLast)
                .set_requires_grad(true);
    }

    @Test
    @DisplayName("what is kept of a parameter has its shape, and what is counted is a number")
    void read() {
        OptimizerState state = OptimizerArchive.read(moved(weight()));
        assertEquals(List.of(Map.of("step", 1L)), state.groups().getFirst().counts());
        assertEquals(List.of(0.9, 0.999), state.groups().getFirst().options().get("betas"));
        assertEquals(
                List.of("0.0.exp_avg", "0.0.exp_avg_sq"), List.copyOf(state.tensors().keySet()));
        state.tensors()
                .values()
                .forEach(kept ->
                        assertEquals(
                                List.of(2L, 3L, 4L, 4L),
                                Arrays.stream(Tensors.shape(kept)).boxed().toList()));
    }

    @Test
    @DisplayName("an optimizer takes a state up in its parameters' own memory format")
    void memoryFormat() {
        Tensor weight = weight();
        OptimizerState state = OptimizerArchive.read(moved(weight));
        SequencedMap<String, Tensor> plain = new LinkedHashMap<>();
        state.tensors().forEach((name, kept) -> plain.put(name, kept.contiguous()));
        Adam other = Optimizers.adam(List.of(weight), 0.3);
        other.load(OptimizerArchive.of(new OptimizerState(state.groups(), plain), other));
        OptimizerState taken = OptimizerArchive.read(other);
        assertEquals(state.groups(), taken.groups());
        assertEquals(state.tensors().keySet(), taken.tensors().keySet());
        taken.tensors()
                .forEach((name, kept) -> {
                    assertTrue(kept.is_contiguous(MemoryFormat.ChannelsLast), name);
                    assertTrue(Tensors.equal(plain.getOrDefault(name, weight), kept), name);
                });
    }

    @Test
    @DisplayName("more optimizers can be read than the binding has room for callbacks")
    void many() {
        Adam optimizer = moved(weight());
        for (int i = 0; i < 24; i++) {
            assertEquals(2, OptimizerArchive.read(optimizer).tensors().size());
        }
    }

    @Test
    @DisplayName("an optimizer whose state is not known is refused by name")
    void unknown() {
        assertEquals(
                "A checkpoint holds the state of SGD, Adam, AdamW, Adagrad or RMSprop; this"
                        + " training's optimizer is LBFGS.",
                messageOf(() -> OptimizerArchive.read(new LBFGS(new TensorVector(weight())))));
    }
}
