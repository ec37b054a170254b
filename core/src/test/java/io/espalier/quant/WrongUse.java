package io.espalier.quant;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;

import java.util.LinkedHashMap;
import java.util.List;

/** A small model, and what must be true of everything that is refused. */
abstract class WrongUse {
    Sequential model;
    Tensor x;

    @BeforeEach
    void make() {
        Libtorch.seed(3);
        model = network();
        x = Tensors.randn(8, 6);
    }

    static Sequential network() {
        var made = new Sequential(new Linear(6, 5), new ReLU(), new Linear(5, 4));
        made.eval();
        return made;
    }

    /** One line that says all the words, after which the model is as it was. */
    final void refuses(Runnable wrong, String... words) {
        String tree = model.toString();
        var state = new LinkedHashMap<String, String>();
        model.stateDict().forEach((name, tensor) -> state.put(name, Tensors.toString(tensor)));

        String message = messageOf(wrong::run);

        assertEquals(1, message.lines().count(), message);
        for (String word : words) {
            assertTrue(message.contains(word), message);
        }
        assertEquals(tree, model.toString());
        assertEquals(List.copyOf(state.keySet()), List.copyOf(model.stateDict().keySet()));
        model.stateDict()
                .forEach((name, tensor) ->
                        assertEquals(state.get(name), Tensors.toString(tensor), name));
    }

    final Sequential converted() {
        Sequential made = model.copy();
        made.qconfig(QConfig.forBackend("onednn"));
        Quantization.prepare(made);
        made.call(x);
        Quantization.convert(made);
        return made;
    }
}
