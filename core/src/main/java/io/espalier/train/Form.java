package io.espalier.train;

import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;

/**
 * What a model is while its numbers are trained: how much of it masks prune, and where its switches
 * stand. Evaluations compare only within one form: a model before a pruning schedule's end, or
 * before its fake quantizations round, is another one.
 *
 * @param pruned how many entries the masks prune
 * @param switches each switch's sum by its dotted name, 1 where it is on
 */
record Form(long pruned, Map<String, Long> switches) {
    Form {
        switches = Collections.unmodifiableMap(new TreeMap<>(switches));
    }

    static Form of(Module model) {
        long pruned = 0;
        Map<String, Long> switches = new TreeMap<>();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            for (Map.Entry<String, Module> entry : model.namedModules().entrySet()) {
                Module module = entry.getValue();
                pruned += pruned(module);
                module.ownBuffers()
                        .forEach((name, buffer) -> {
                            if (module.isSwitch(name)) {
                                switches.put(
                                        entry.getKey() + "." + name,
                                        Tensors.longs(buffer.sum())[0]);
                            }
                        });
            }
        }
        return new Form(pruned, switches);
    }

    private static long pruned(Module module) {
        long pruned = 0;
        for (String name : module.parametrizedNames()) {
            String mask = new Mask(name).bufferName();
            if (module.hasBuffer(mask)) {
                Tensor buffer = module.buffer(mask);
                pruned += buffer.numel() - buffer.count_nonzero().item_long();
            }
        }
        return pruned;
    }

    /** What has changed since this form, as the end of a sentence. */
    String until(Form now) {
        return pruned == now.pruned
                ? "its fake quantizations have been switched since"
                : "masks pruned %,d of its entries then and prune %,d now"
                        .formatted(pruned, now.pruned);
    }
}
