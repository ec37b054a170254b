package io.espalier.prune;

import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;

/**
 * Remembers a model's weights, so that after training and pruning those that are kept can be set
 * back to what they were: the sparse network that was there from the start, the winning ticket
 * (Frankle and Carbin, <a href="https://arxiv.org/abs/1803.03635">The Lottery Ticket
 * Hypothesis</a>, 2019).
 *
 * <pre>{@code
 * var ticket = WinningTicket.of(model);          // right after initialization, or after k steps
 * train(model);
 * Prune.globalUnstructured(targets, L1Unstructured::new, 0.2);
 * ticket.rewind(model);                          // and train again, with a new optimizer
 * }</pre>
 */
public final class WinningTicket {
    /** Parameters and buffers by their public dotted names. */
    private final SequencedMap<String, Tensor> remembered;

    private WinningTicket(SequencedMap<String, Tensor> remembered) {
        this.remembered = remembered;
    }

    /** Remembers a copy of all parameters and buffers as they are now; masks are not among them. */
    public static WinningTicket of(Module model) {
        SequencedMap<String, Tensor> copies = new LinkedHashMap<>();
        try (var scope = new PointerScope();
                var guard = new NoGradGuard()) {
            tensors(model)
                    .forEach((name, tensor) ->
                            copies.put(name, Tensors.keep(tensor.detach().clone())));
        }
        return new WinningTicket(copies);
    }

    /**
     * Sets every parameter and buffer back to what was remembered; masks stay. The parameters stay
     * the same tensors; an optimizer's own state is not reset, so training again wants a new one.
     *
     * @param model the model that was remembered, or a copy of it
     * @throws EspalierException if it has other parameters or shapes; it is then as it was
     */
    public void rewind(Module model) {
        SequencedMap<String, Tensor> present = tensors(model);
        requireSame(remembered, present);
        try (var guard = new NoGradGuard()) {
            present.forEach((name, tensor) -> tensor.detach().copy_(remembered.get(name)));
        }
    }

    /**
     * Gives a freshly initialized model the masks of a pruned one: the twin that shows what the
     * ticket's weights are worth beside its structure. Masks that the fresh model has already are
     * kept too.
     *
     * @param pruned whose masks are taken
     * @param fresh a new model of the same architecture
     * @throws EspalierException if the fresh model has other parameters or shapes; it is then as it
     *     was
     */
    public static void giveMasks(Module pruned, Module fresh) {
        requireSame(tensors(pruned), tensors(fresh));
        pruned.namedModules()
                .forEach((path, module) -> {
                    for (String name : module.parametrizedNames()) {
                        if (Site.isMasked(module, name)) {
                            Tensor mask = module.buffer(new Mask(name).bufferName());
                            give(mask, new Target(fresh.module(path), name));
                        }
                    }
                });
    }

    private static void give(Tensor mask, Target target) {
        try (var scope = new PointerScope();
                var guard = new NoGradGuard()) {
            Site site = Site.of(target);
            site.commit(site.maskOrOnes().mul(mask));
        }
    }

    /** All parameters under their public names, and all buffers but masks. */
    private static SequencedMap<String, Tensor> tensors(Module model) {
        SequencedMap<String, Tensor> tensors = new LinkedHashMap<>();
        Needed.of(model, "the model")
                .namedModules()
                .forEach((path, module) -> {
                    String prefix = path.isEmpty() ? "" : path + ".";
                    SequencedMap<String, Tensor> own = new LinkedHashMap<>(module.ownParameters());
                    own.putAll(module.ownBuffers());
                    for (String name : module.parametrizedNames()) {
                        Tensor stored = own.remove(module.storedName(name));
                        own.remove(new Mask(name).bufferName());
                        own.put(name, stored);
                    }
                    own.forEach((name, tensor) -> tensors.put(prefix + name, tensor));
                });
        return tensors;
    }

    private static void requireSame(Map<String, Tensor> expected, Map<String, Tensor> present) {
        if (!expected.keySet().equals(present.keySet())) {
            throw new EspalierException(
                    "The models don't match: one has the tensors "
                            + String.join(", ", expected.keySet())
                            + ", the other "
                            + String.join(", ", present.keySet())
                            + ".");
        }
        expected.forEach((name, tensor) -> {
            long[] shape = Tensors.shape(tensor);
            long[] other = Tensors.shape(Objects.requireNonNull(present.get(name)));
            if (!Arrays.equals(shape, other)) {
                throw new EspalierException(
                        "The models don't match: '"
                                + name
                                + "' has shape "
                                + Arrays.toString(shape)
                                + " in one and "
                                + Arrays.toString(other)
                                + " in the other.");
            }
        });
    }
}
