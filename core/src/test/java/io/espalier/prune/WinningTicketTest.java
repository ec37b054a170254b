package io.espalier.prune;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.prune.DynamicPruningTest.Two;
import io.espalier.tensor.Tensors;
import io.espalier.train.Optimizers;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

class WinningTicketTest {
    private static void train(Two model) {
        var optimizer = Optimizers.adam(model.parameters(), 0.01);
        for (int i = 0; i < 5; i++) {
            try (var scope = new PointerScope()) {
                optimizer.zero_grad();
                Functional.mseLoss(model.call(Tensors.randn(8, 6)), Tensors.randn(8, 4)).backward();
                optimizer.step();
            }
        }
    }

    @Test
    @DisplayName("rewinding restores the kept weights exactly and keeps the masks")
    void rewinds() {
        var model = new Two();
        Two initial = model.copy();
        var ticket = WinningTicket.of(model);
        train(model);
        Prune.globalUnstructured(Target.weights(model), new L1Unstructured(0.5));
        Tensor parameter = model.a.parameter("weight_orig");
        assertFalse(Tensors.equal(initial.a.weight(), parameter));

        ticket.rewind(model);

        assertSame(parameter, model.a.parameter("weight_orig"));
        for (var layer : List.of("a", "b")) {
            var rewound = (Linear) model.module(layer);
            var before = (Linear) initial.module(layer);
            assertTrue(
                    Tensors.equal(
                            before.weight().mul(rewound.buffer("weight_mask")), rewound.weight()));
            assertTrue(Tensors.equal(before.value("bias"), rewound.value("bias")));
        }
        assertEquals(25 / 50.0, Sparsity.of(model).only("weight").sparsity(), 1e-9);

        train(model);
        ticket.rewind(model);
        assertTrue(Tensors.equal(initial.a.parameter("weight"), parameter), "and again");
    }

    @Test
    @DisplayName("the twin has the ticket's masks on weights of its own")
    void twin() {
        var model = new Two();
        Prune.l1Unstructured(model.a, "weight", 0.7);
        var fresh = new Two();
        Tensor own = fresh.a.parameter("weight").clone();

        WinningTicket.giveMasks(model, fresh);

        assertTrue(Tensors.equal(own.mul(model.a.buffer("weight_mask")), fresh.a.weight()));
        assertFalse(fresh.b.hasBuffer("weight_mask"));
        model.a.buffer("weight_mask").zero_();
        assertEquals(9, fresh.a.buffer("weight_mask").sum().item_double());
    }

    @Test
    @DisplayName("another architecture is refused and left as it was")
    void wrongUse() {
        var ticket = WinningTicket.of(new Two());
        var other = new Linear(3, 2);
        Tensor before = other.weight().clone();
        assertTrue(messageOf(() -> ticket.rewind(other)).contains("weight, bias"));
        assertTrue(Tensors.equal(before, other.weight()));
        var small = new Linear(2, 2);
        assertEquals(
                "The models don't match: 'weight' has shape [2, 3] in one and [2, 2] in the other.",
                messageOf(() -> WinningTicket.giveMasks(other, small)));
    }
}
